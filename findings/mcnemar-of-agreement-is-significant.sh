#!/bin/sh
# Two models that agree on every clip differ significantly, p = 0, by statsmodels' McNemar test with a correction.
#
# Versions: statsmodels 0.15.0, scipy 1.17.1, numpy 2.3.5, Python 3.11.
#
# Expected: without a clip on which only one of two models is right, nothing can be tested: not a number.
# Seen: the corrected statistic is (|0 - 0| - 1)^2 / (0 + 0), which is infinite, and p is 0. Without the correction p
# is not a number, and the exact test answers 1. The correction is the default of exact=False.
#
#     exact: 1.0
#     chi-square, corrected: 0.0
#     chi-square: nan
#
# So: look at the number of clips that models disagree on before testing, and take the exact test where they are few.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'statsmodels==0.15.0' 'scipy==1.17.1' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import math
import warnings

from statsmodels.stats.contingency_tables import mcnemar

warnings.simplefilter("ignore", RuntimeWarning)
agreement = [[40, 0], [0, 10]]  # both right on 40 clips, both wrong on 10
exact = mcnemar(agreement, exact=True).pvalue
corrected = mcnemar(agreement, exact=False).pvalue
plain = mcnemar(agreement, exact=False, correction=False).pvalue
print(f"exact: {exact}")
print(f"chi-square, corrected: {corrected}")
print(f"chi-square: {plain}")
assert (exact, corrected) == (1, 0) and math.isnan(plain)
PROGRAM
