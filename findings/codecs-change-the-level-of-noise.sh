#!/bin/sh
# Lossy codecs, as libsndfile sets them, keep the level of a tone and change that of noise, each in its own way.
#
# Versions: soundfile 0.14.0 (libsndfile 1.2.2), scipy 1.17.1, numpy 2.3.5, Python 3.11.
#
# Guess before the run: at 16 kHz MP3 keeps what is below 7 kHz, and Opus all that is below 8 kHz.
# Seen: white noise, which is what whispering and breath are made of, comes back from Opus 3 dB quieter, 4 dB and
# more from 5 kHz on; from Vorbis 0.7 dB louder, more so in the treble; from MP3 at its level, but without anything above 7.2 kHz.
#
#     codec             tone dB  noise dB   1 kHz   5 kHz   7 kHz  7.5 kHz
#     MPEG_LAYER_III        0.1      0.1     -0.4      1.2      1.2    -73.0
#     OPUS                  0.1     -3.0     -1.3     -3.8     -4.7     -4.3
#     VORBIS                0.0      0.7      0.3      1.0      1.3      1.0
#
# So: one class in Opus and another in WAV can be told by the codec; normalising the whole clip does not undo a slope.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'soundfile==0.14.0' 'scipy==1.17.1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
import soundfile
from scipy.signal import welch

RATE = 16_000
noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE)
tone = 0.3 * np.sin(2 * np.pi * 300 * np.arange(4 * RATE) / RATE)


def through(samples, kind, codec):
    soundfile.write("clip", samples, RATE, format=kind, subtype=codec)
    return soundfile.read("clip")[0]


def decibels(after, before):
    return 10 * np.log10(after / before)


rows = {}
print("codec             tone dB  noise dB   1 kHz   5 kHz   7 kHz  7.5 kHz")
for kind, codec in (("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("OGG", "VORBIS")):
    heard = through(noise, kind, codec)
    pitch, after = welch(heard, RATE, nperseg=1024)
    before = welch(noise, RATE, nperseg=1024)[1]
    bands = [decibels(after, before)[np.abs(pitch - hertz).argmin()] for hertz in (1000, 5000, 7000, 7500)]
    row = decibels(through(tone, kind, codec).var(), tone.var()), decibels(heard.var(), noise.var()), *bands
    rows[codec] = row
    print(f"{codec:16}" + "".join(f"{value:9.1f}" for value in row))
assert all(abs(row[0]) < 0.2 for row in rows.values())
assert rows["OPUS"][1] < -2.5 and rows["OPUS"][4] < -4
assert 0.5 < rows["VORBIS"][1] < 1 and rows["VORBIS"][5] > 0.6
assert abs(rows["MPEG_LAYER_III"][1]) < 0.5 and rows["MPEG_LAYER_III"][5] < -60
PROGRAM
