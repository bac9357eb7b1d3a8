#!/bin/sh
# The end of an ALAC recording in a CAF file is lost in PyAV and there in libsndfile.
#
# Versions: soundfile 0.14.0 (libsndfile 1.2.2), PyAV 18.0.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: lossless audio has the same length in both.
# Seen: libsndfile writes 44,100 samples and reads 44,100; PyAV gives 43,144. The 956 that are missing are as many as
# the last block of 4,096 was short of: they are taken off a block that never had them. Of 16,000 samples 384 are lost,
# of 41,000 none, whose last block is shorter than what would be taken off. What is left is equal to the last bit.
#
#     written 44100: libsndfile 44100, PyAV 43144
#     written 41000: libsndfile 41000, PyAV 41000
#     written 16000: libsndfile 16000, PyAV 15616
#
# So: read CAF by libsndfile first; whoever compares lengths of one corpus by two libraries will find clips that differ.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'soundfile==0.14.0' 'av==18.0.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import av
import numpy as np
import soundfile

lengths = {}
for written in (44_100, 41_000, 16_000):
    noise = 0.1 * np.random.default_rng(0).standard_normal(written)
    soundfile.write("noise.caf", noise, 16_000, format="CAF", subtype="ALAC_16")
    ours, _ = soundfile.read("noise.caf", dtype="int16")
    with av.open("noise.caf") as container:
        theirs = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)[0]
    lengths[written] = len(ours), len(theirs)
    print(f"written {written}: libsndfile {len(ours)}, PyAV {len(theirs)}")
    assert np.array_equal(theirs, ours[: len(theirs)])
assert lengths == {44_100: (44_100, 43_144), 41_000: (41_000, 41_000), 16_000: (16_000, 15_616)}
PROGRAM
