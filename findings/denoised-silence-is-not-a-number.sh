#!/bin/sh
# noisereduce, as it is set, makes a clip of digital silence into one of NaN, and takes a held vowel for noise.
#
# Versions: noisereduce 3.0.3, scipy 1.17.1, numpy 2.3.5, Python 3.11.
#
# Guess before the run: silence stays silence.
# Seen: all samples of the silent clip are NaN (0 / 0 in the mask), without an error; with stationary=True they are 0. A
# clip that is silent in part has none. A vowel of two seconds, held as in singing, loses 21 dB: it is the floor of its
# own clip.
#
#     silence: 100 % NaN; stationary: 0 %
#     half a clip of silence: 0 % NaN
#     held vowel: -21.1 dB; stationary: -22.9 dB
#
# So: leave denoising out of training data, or look at what comes back: NaN, and who sang.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'noisereduce==3.0.3' 'scipy==1.17.1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import warnings

import numpy as np
from noisereduce import reduce_noise

warnings.simplefilter("ignore")
RATE = 16_000
time = np.arange(2 * RATE) / RATE
vowel = sum(np.sin(2 * np.pi * 150 * harmonic * time) / harmonic for harmonic in range(1, 20))
vowel *= 0.3 / np.abs(vowel).max()
silence = np.zeros(2 * RATE)


def lost(samples, **how):
    return 100 * float(np.isnan(reduce_noise(y=samples, sr=RATE, **how)).mean())


def level(**how):
    return 20 * np.log10(reduce_noise(y=vowel, sr=RATE, **how).std() / vowel.std())


shares = lost(silence), lost(silence, stationary=True), lost(np.concatenate([silence, vowel]))
levels = level(), level(stationary=True)
print(f"silence: {shares[0]:.0f} % NaN; stationary: {shares[1]:.0f} %")
print(f"half a clip of silence: {shares[2]:.0f} % NaN")
print(f"held vowel: {levels[0]:.1f} dB; stationary: {levels[1]:.1f} dB")
assert shares == (100, 0, 0)
assert max(levels) < -15
PROGRAM
