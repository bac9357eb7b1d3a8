#!/bin/sh
# The interval of scipy's bootstrap over three speakers depends on the unit in which their scores are written.
#
# Versions: scipy 1.17.1, numpy 2.3.5, Python 3.11.
#
# Guess before the run: 0.1, 0.2, 0.3 and 1, 2, 3 have the same interval but for the factor of ten, and it is symmetric.
# Seen: for 1, 2, 3 it is the range. For tenths it is narrower, and on one side only. BCa, the default, counts the
# resamples whose mean is below that of the data; with few speakers many have exactly that mean, and whether sums in
# another order round below, above or to it decides which way the interval is shifted. Another seed does not help.
#
#     [1, 2, 3]: 1.0000 to 3.0000
#     [0.1, 0.2, 0.3]: 0.1333 to 0.3000
#     [55, 60, 65]: 55.0000 to 65.0000
#     [0.55, 0.6, 0.65]: 0.5500 to 0.6333
#     percentile, [0.1, 0.2, 0.3]: 0.1000 to 0.3000
#
# So: over few speakers take method="percentile", and say how wide an interval over few is at best.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'scipy==1.17.1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
from scipy.stats import bootstrap


def interval(scores, **how):
    low, high = bootstrap((scores,), np.mean, rng=0, **how).confidence_interval
    print(f"{', '.join(how.values()) + ', ' if how else ''}{scores}: {low:.4f} to {high:.4f}")
    return round(float(low), 4), round(float(high), 4)


assert interval([1, 2, 3]) == (1, 3)
assert interval([0.1, 0.2, 0.3]) == (0.1333, 0.3)
assert interval([55, 60, 65]) == (55, 65)
assert interval([0.55, 0.6, 0.65]) == (0.55, 0.6333)
assert interval([0.1, 0.2, 0.3], method="percentile") == (0.1, 0.3)
PROGRAM
