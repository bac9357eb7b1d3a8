#!/bin/sh
# A verifier that gives every trial one score has an equal error rate of 1 in audmetric, as one that is always wrong.
#
# Versions: audmetric 1.4.2, numpy 2.3.5, Python 3.11.
#
# Expected: 0.5, as that of guessing.
# Seen: 1.0, with a warning that the two curves do not intersect. Only thresholds at scores that occur are tried, and
# acceptance is "at least"; with one score everybody is let in, and that point counts. Scores that are all but one alike
# give 1.0 too, although the odd one is on the right side.
#
#     all alike: 1.0
#     all alike but one, which is right: 1.0
#     always right: 0.0
#
# So: count the distinct scores first; a collapsed model, which gives one, is no better and no worse than chance.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'audmetric==1.4.2' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import warnings

from audmetric import equal_error_rate

warnings.simplefilter("ignore", RuntimeWarning)
truth = [1, 1, 0, 0]
alike = float(equal_error_rate(truth, [0.5, 0.5, 0.5, 0.5])[0])
but_one = float(equal_error_rate(truth, [0.5, 0.5, 0.5, 0.4])[0])
right = float(equal_error_rate(truth, [0.9, 0.8, 0.2, 0.1])[0])
print(f"all alike: {alike}")
print(f"all alike but one, which is right: {but_one}")
print(f"always right: {right}")
assert (alike, but_one, right) == (1, 1, 0)
PROGRAM
