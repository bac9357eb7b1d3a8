#!/bin/sh
# A held vowel has 49 loudness peaks a second in eGeMAPS; with a second of silence before it, one in three seconds.
#
# Versions: opensmile 2.6.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: a second of silence before two of voice halves the peaks a second.
# Seen: from 48.7 to 0.33. A peak is one that stands out by a share of the clip's own range of loudness. Without a pause
# that range is the ripple between frames, and half of the frames are peaks; a pause makes it the range of the voice.
#
#     two seconds of a held vowel: 48.74 peaks a second
#     after a second of silence: 0.33
#
# So: the feature, meant as a rate of syllables, tells first of all whether a clip begins or ends in silence; trim all
# clips or none.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'opensmile==2.6.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
import opensmile

time = np.arange(32_000) / 16_000
vowel = sum(np.sin(2 * np.pi * 150 * harmonic * time) / harmonic for harmonic in range(1, 20))
vowel = (0.3 * vowel / np.abs(vowel).max()).astype(np.float32)
smile = opensmile.Smile(
    feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
)


def peaks(samples):
    return float(smile.process_signal(samples, 16_000)["loudnessPeaksPerSec"].iloc[0])


held, paused = peaks(vowel), peaks(np.concatenate([np.zeros(16_000, np.float32), vowel]))
print(f"two seconds of a held vowel: {held:.2f} peaks a second")
print(f"after a second of silence: {paused:.2f}")
assert held > 45 and 0.3 < paused < 0.4
PROGRAM
