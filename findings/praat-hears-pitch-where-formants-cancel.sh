#!/bin/sh
# Of a stereo clip whose channels cancel each other out, Praat finds pitch, level and pulses, and no formants.
#
# Versions: praat-parselmouth 0.4.7 (Praat 6.1.38), numpy 2.3.5, Python 3.11.
#
# Guess before the run: channels are averaged, so that such a clip is unvoiced, as it is after "Convert to mono".
# Seen: pitch adds up the correlations of the channels and intensity their power, so both are those of one channel;
# formants average the samples first and are undefined. One analysis of a clip then speaks of a voice, the next of none.
#
#     pitch, stereo: 150 Hz in 197 of 197 frames
#     pitch, converted to mono: 0 of 197 frames
#     intensity, stereo: 77.6 dB; one channel: 77.6 dB
#     first formant, stereo: nan; one channel: 412 Hz
#
# So: mix down, or choose a channel, before the first measurement, and measure all of one signal.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'praat-parselmouth==0.4.7' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import math

import numpy as np
import parselmouth

time = np.arange(32_000) / 16_000
voice = sum(np.sin(2 * np.pi * 150 * harmonic * time) / harmonic for harmonic in range(1, 20))
voice *= 0.3 / np.abs(voice).max()
stereo, single = (parselmouth.Sound(samples, 16_000) for samples in (np.stack([voice, -voice]), voice))
heard = stereo.to_pitch().selected_array["frequency"]
mixed = stereo.convert_to_mono().to_pitch().selected_array["frequency"]
levels = [float(sound.to_intensity().values.mean()) for sound in (stereo, single)]
formants = [sound.to_formant_burg().get_value_at_time(1, 1.0) for sound in (stereo, single)]
print(f"pitch, stereo: {np.median(heard):.0f} Hz in {np.count_nonzero(heard)} of {len(heard)} frames")
print(f"pitch, converted to mono: {np.count_nonzero(mixed)} of {len(mixed)} frames")
print(f"intensity, stereo: {levels[0]:.1f} dB; one channel: {levels[1]:.1f} dB")
print(f"first formant, stereo: {formants[0]:.0f}; one channel: {formants[1]:.0f} Hz")
assert np.count_nonzero(heard) == len(heard) and abs(np.median(heard) - 150) < 0.1
assert not mixed.any()
assert abs(levels[0] - levels[1]) < 0.01
assert math.isnan(formants[0]) and 300 < formants[1] < 600
PROGRAM
