#!/bin/sh
# The speech detector of WebRTC takes white noise and held tones for speech, at its strictest, if they are loud enough.
#
# Versions: webrtcvad-wheels 2.0.14.post1, numpy 2.3.5, Python 3.11.
#
# Guess before the run: white noise is no speech in any mode; a tone may be.
# Seen: of noise at -20 dBFS every frame is speech in every mode; of the same noise at -40 dBFS hardly any is. A tone of
# 3 kHz is speech, too. The detector follows the level above its own idea of the floor.
#
#     share of frames taken for speech, modes 0 to 3
#     silence                   0.00  0.00  0.00  0.00
#     noise at -20 dBFS         1.00  1.00  1.00  1.00
#     noise at -40 dBFS         0.06  0.06  0.05  0.00
#     tone of 3 kHz             1.00  1.00  1.00  1.00
#
# So: what it keeps of a clip depends on gain; level clips first, and do not take its share of speech for a fact.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'webrtcvad-wheels==2.0.14.post1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
import webrtcvad

RATE, FRAME = 16_000, 480
time = np.arange(2 * RATE) / RATE
noise = np.random.default_rng(0).standard_normal(len(time))
clips = {
    "silence": 0 * noise,
    "noise at -20 dBFS": 0.1 * noise,
    "noise at -40 dBFS": 0.01 * noise,
    "tone of 3 kHz": 0.3 * np.sin(2 * np.pi * 3000 * time),
}


def share(samples, mode):
    detector = webrtcvad.Vad(mode)
    whole = (samples.clip(-1, 1) * 32_767).astype("<i2")
    frames = [whole[start : start + FRAME].tobytes() for start in range(0, len(whole) - FRAME, FRAME)]
    return float(np.mean([detector.is_speech(frame, RATE) for frame in frames]))


print("share of frames taken for speech, modes 0 to 3")
found = {}
for name, samples in clips.items():
    found[name] = [share(samples, mode) for mode in range(4)]
    print(f"{name:24}" + "".join(f"{value:6.2f}" for value in found[name]))
assert found["silence"] == [0, 0, 0, 0]
assert found["noise at -20 dBFS"] == found["tone of 3 kHz"] == [1, 1, 1, 1]
assert max(found["noise at -40 dBFS"]) < 0.2
PROGRAM
