#!/bin/sh
# From 44.1 to 16 kHz, a tone of 8.5 kHz, which 16 kHz cannot hold, comes back as one of 7.5 kHz at -14 dB from scipy.
#
# Versions: scipy 1.17.1, soxr 1.1.0, PyAV 18.0.0, pydub 0.25.1, numpy 2.3.5, Python 3.11.
#
# Guess before the run: scipy has lost 0.5 dB at 7.5 kHz, and lets 8.5 kHz through at -20 dB, soxr at -100, pydub
# at -3.
# Seen: at 7.5 kHz, of what 16 kHz can hold, scipy has lost 2 and PyAV 3 dB, where soxr has lost 0.4. At 8.5 kHz soxr
# is at -140 dB, PyAV at -26, scipy at -14, and pydub, which interpolates between neighbours, takes off 1.
#
#     Hz      soxr   scipy    PyAV   pydub
#     7000    -0.0    -0.3    -0.4    -0.7
#     7500    -0.4    -1.8    -2.9    -0.8
#     8500  -140.0   -14.3   -26.3    -1.1
#
# So: fricatives and breath differ by the resampler. Resample training clips and clips of users by the same one.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'scipy==1.17.1' 'soxr==1.1.0' 'av==18.0.0' 'pydub==0.25.1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import av
import numpy as np
import soxr
from pydub import AudioSegment
from scipy.signal import resample_poly


def by_pyav(samples):
    frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
    frame.sample_rate = 44_100
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000)
    frames = resampler.resample(frame) + resampler.resample(None)
    return np.concatenate([part.to_ndarray() for part in frames], axis=1)[0]


def by_pydub(samples):
    content = (samples * 32_767).astype("<i2").tobytes()
    clip = AudioSegment(content, frame_rate=44_100, sample_width=2, channels=1)
    return np.array(clip.set_frame_rate(16_000).get_array_of_samples()) / 32_768


WAYS = {
    "soxr": lambda samples: soxr.resample(samples, 44_100, 16_000),
    "scipy": lambda samples: resample_poly(samples, 160, 441),
    "PyAV": by_pyav,
    "pydub": by_pydub,
}
print("Hz  " + "".join(f"{name:>8}" for name in WAYS))
rows = {}
for hertz in (7_000, 7_500, 8_500):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(88_200) / 44_100)
    middles = {name: way(tone)[2_000:-2_000] for name, way in WAYS.items()}
    rows[hertz] = {name: 20 * np.log10(middle.std() / tone.std()) for name, middle in middles.items()}
    print(f"{hertz}" + "".join(f"{value:8.1f}" for value in rows[hertz].values()))
assert rows[7_500]["soxr"] > -0.6 and rows[7_500]["scipy"] < -1.5 and rows[7_500]["PyAV"] < -2.5
assert rows[8_500]["soxr"] < -100 and -30 < rows[8_500]["PyAV"] < -22
assert -16 < rows[8_500]["scipy"] < -12 and rows[8_500]["pydub"] > -3
PROGRAM
