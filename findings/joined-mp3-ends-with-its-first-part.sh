#!/bin/sh
# Two MP3s joined byte by byte, as recorders and podcasts do, are one part long in libsndfile, longer than both in PyAV.
#
# Versions: soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.0.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: both libraries read both parts, 32,000 samples.
# Seen: libsndfile stops where the header of the first part says that it ends, and says nothing. PyAV reads on; the
# second part begins with its header, silence, and the encoder's delay, which nothing takes off there.
#
#     libsndfile: 16000 of 32000 samples
#     PyAV: 34031 of 32000 samples
#
# So: the length of an MP3 is no proof that all of it was heard; compare it with the size of the file.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'soundfile==0.14.0' 'av==18.0.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
from pathlib import Path

import av
import numpy as np
import soundfile

time = np.arange(16_000) / 16_000
for name, pitch in (("1.mp3", 300), ("2.mp3", 600)):
    soundfile.write(name, 0.3 * np.sin(2 * np.pi * pitch * time), 16_000)
Path("both.mp3").write_bytes(Path("1.mp3").read_bytes() + Path("2.mp3").read_bytes())
ours, _ = soundfile.read("both.mp3")
with av.open("both.mp3") as container:
    theirs = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]
print(f"libsndfile: {len(ours)} of 32000 samples")
print(f"PyAV: {len(theirs)} of 32000 samples")
assert len(ours) == soundfile.info("both.mp3").frames == 16_000
assert len(theirs) == 34_031
PROGRAM
