"""Classify audio files with a model that `voicefit export` wrote; needs onnxruntime and soundfile alone.

pip install onnxruntime soundfile
python onnx_predict.py model.onnx clip.wav ...
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile

model, *files = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
facts = session.get_modelmeta().custom_metadata_map
labels, rate = json.loads(facts["labels"]), int(facts["sample_rate"])

for file in files:
    samples, its_rate = soundfile.read(file, dtype="float32", always_2d=True)
    if its_rate != rate:
        sys.exit(f"{file}: {its_rate} Hz; convert it first, as by `sox {file} -r {rate} out.wav`")
    waveform = np.ascontiguousarray(samples.mean(axis=1))
    if len(waveform) < int(facts["min_samples"]):
        sys.exit(f"{file}: shorter than {facts['min_samples']} samples")
    (probabilities,) = session.run(["probabilities"], {"waveform": waveform})
    print(file, *(f"{label}={p:.3f}" for label, p in zip(labels, probabilities, strict=True)))
