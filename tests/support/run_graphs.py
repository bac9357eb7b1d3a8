"""Prints onnxruntime's version and what it says of graphs and waveforms; needs nothing but onnxruntime and numpy."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    answers = json.loads((folder / "answers.json").read_text())
    for name, said in answers.items():
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        for samples in said:
            waveform = np.fromfile(folder / f"{samples}.f32", dtype="<f4")
            said[samples] = session.run(None, {"waveform": waveform})[0].tolist()
    print(onnxruntime.__version__)
    print(json.dumps(answers))
