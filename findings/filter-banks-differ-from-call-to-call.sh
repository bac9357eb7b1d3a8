#!/bin/sh
# kaldi-native-fbank adds noise by default; on samples of -1 to 1 it moves quiet bands, and anew at every call.
#
# Versions: kaldi-native-fbank 1.23.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: dither is 1.0, as in Kaldi, and drowns samples of -1 to 1 altogether.
# Seen: it is 3e-5, one step of 16 bits. The bands of a clean voice stay within 0.1, those above it (silent in a clip
# that was recorded at 8 kHz, denoised, or synthesised) differ by over 2, a factor of 8, between calls of one process.
#
#     dither of the default: 3e-05
#     same clip, two calls: bands 0 to 20 differ by 0.01, bands 60 to 79 by 2.89
#     dither 0: 0.00 and 0.00
#
# So: set dither to 0 for features that are cached, compared, or fed to an encoder.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'kaldi-native-fbank==1.23.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import kaldi_native_fbank
import numpy as np

time = np.arange(32_000) / 16_000
voice = sum(np.sin(2 * np.pi * 150 * harmonic * time) / harmonic for harmonic in range(1, 20))
voice *= 0.3 / np.abs(voice).max()  # nothing above 2.9 kHz


def bank(dither=None):
    options = kaldi_native_fbank.FbankOptions()
    options.mel_opts.num_bins = 80
    if dither is not None:
        options.frame_opts.dither = dither
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(16_000, voice.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(index) for index in range(fbank.num_frames_ready)])


def apart(one, other):
    difference = np.abs(one - other)
    return float(difference[:, :20].max()), float(difference[:, 60:].max())


default = kaldi_native_fbank.FbankOptions().frame_opts.dither
usual, none = apart(bank(), bank()), apart(bank(0.0), bank(0.0))
print(f"dither of the default: {default:g}")
print(f"same clip, two calls: bands 0 to 20 differ by {usual[0]:.2f}, bands 60 to 79 by {usual[1]:.2f}")
print(f"dither 0: {none[0]:.2f} and {none[1]:.2f}")
assert abs(default - 3e-5) < 1e-9
assert usual[0] < 0.1 and usual[1] > 1.5
assert none == (0, 0)
PROGRAM
