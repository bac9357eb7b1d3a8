#!/bin/sh
# PyAV's resampler makes stereo 3 dB louder in mono where the output is float, and not where it is 16 bits.
#
# Versions: PyAV 18.0.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: mono is the mean of two channels in every sample format: 0.5 where both are 0.5.
# Seen: 0.707 in float, 0.5 in 16 bits, whatever the format of the input; so a recording at full scale clips, or passes
# 1.0, by the format that was asked for. The other way, mono 0.5 becomes 0.354 in each of two channels, and 5.1
# channels of 0.5 become 1.707 in mono.
#
#     stereo fltp to fltp mono: 0.707
#     stereo fltp to s16 mono: 0.500
#     stereo s16p to fltp mono: 0.707
#     stereo s16p to s16 mono: 0.500
#     mono fltp to fltp stereo: 0.354
#     5.1 fltp to fltp mono: 1.707
#
# So: keep the channels, and average them yourself.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'av==18.0.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import av
import numpy as np


def mixed(channels, layout, kind, wanted, into):
    full = {"fltp": 1.0, "s16p": 32_768, "s16": 32_768}
    samples = np.full((channels, 16_000), 0.5 * full[kind])
    frame = av.AudioFrame.from_ndarray(
        samples.astype(np.float32 if kind == "fltp" else np.int16), format=kind, layout=layout
    )
    frame.sample_rate = 16_000
    resampler = av.AudioResampler(format=wanted, layout=into, rate=16_000)
    value = resampler.resample(frame)[0].to_ndarray()[0, 8_000] / full[wanted]
    print(f"{layout} {kind} to {wanted} {into}: {value:.3f}")
    return round(float(value), 3)


found = [mixed(2, "stereo", kind, wanted, "mono") for kind in ("fltp", "s16p") for wanted in ("fltp", "s16")]
assert found == [0.707, 0.5, 0.707, 0.5]
assert mixed(1, "mono", "fltp", "fltp", "stereo") == 0.354
assert mixed(6, "5.1", "fltp", "fltp", "mono") == 1.707
PROGRAM
