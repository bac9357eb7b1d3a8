#!/bin/sh
# In a padded batch, the feature extractor of wav2vec 2.0 Base normalises a short clip together with its padding.
#
# Versions: transformers 5.24.0, numpy 2.3.5, Python 3.11.
#
# Guess before the run: each clip is normalised over its own samples, whatever the batch.
# Seen: so it is with an attention mask, as of the large models. Without one, as the base models of wav2vec 2.0 and
# HuBERT have it (return_attention_mask false), padding counts: a clip of half a second beside one of two seconds gets
# half as much again of amplitude, and silence that is not 0 where the clip has an offset.
#
#     with a mask: 1.00 times the clip alone, padding +0.00
#     without: 1.51 times the clip alone, padding -0.38
#
# So: extract features clip by clip and pad afterwards, or a score depends on its neighbours.

set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'transformers==5.24.0' 'numpy==2.3.5'
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
from transformers import Wav2Vec2FeatureExtractor

noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
long, short = noise.astype(np.float32), (noise[:8_000] + 0.1).astype(np.float32)
found = {}
for words, mask in (("with a mask", True), ("without", False)):
    extract = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=mask)
    alone = extract(short, sampling_rate=16_000, return_tensors="np").input_values[0]
    batch = extract([long, short], sampling_rate=16_000, padding=True, return_tensors="np").input_values[1]
    found[mask] = float(batch[:8_000].std() / alone.std()), float(batch[-1])
    print(f"{words}: {found[mask][0]:.2f} times the clip alone, padding {found[mask][1]:+.2f}")
assert abs(found[True][0] - 1) < 1e-3 and found[True][1] == 0
assert found[False][0] > 1.2 and found[False][1] < -0.1
PROGRAM
