"""Classify audio files with a model that `voicefit export` wrote.

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
    convert = f"convert it first: ffmpeg -i {file} -ar {rate} out.wav"
    try:
        samples, its_rate = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.SoundFileError:
        sys.exit(f"{file}: libsndfile does not read it; {convert}")
    if its_rate != rate:
        sys.exit(f"{file}: {its_rate} Hz; {convert}")
    waveform = np.ascontiguousarray(samples.mean(axis=1))
    if len(waveform) < int(facts["min_samples"]):
        sys.exit(f"{file}: shorter than {facts['min_samples']} samples")
    (probabilities,) = session.run(["probabilities"], {"waveform": waveform})
    print(file, *(f"{label}={p:.3f}" for label, p in zip(labels, probabilities, strict=True)))
