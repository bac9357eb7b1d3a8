"""The mixed model on trials made from known effects, and against ordinary least squares."""

import itertools

import numpy as np
import pytest

from support.synthetic_runs import row, table
from voicefit.report.effects import effects
from voicefit.report.statistics import finished

STARTS = {"none": 0, "a": 1, "b": 1, "a+b": 2}
LEVELS = {"anger": 0.03, "fear": -0.01, "surprise": -0.02}


def study(speakers="uvwxyz", starts=STARTS, levels=LEVELS, noise=0.01):
    """0.5 + 0.03 a corpus + 0.05 a doubling − 0.01 their product, an emotion's level, a speaker's level, noise."""
    generator = np.random.default_rng(0)
    speaker_level = dict(zip(speakers, generator.normal(0, 0.05, len(speakers)), strict=True))
    rows = []
    for speaker, (start, corpora), label, k in itertools.product(speakers, starts.items(), levels, (2, 4, 8)):
        doublings = np.log2(k / 2)
        score = 0.5 + 0.03 * corpora + 0.05 * doublings - 0.01 * corpora * doublings
        score += levels[label] + speaker_level[speaker] + generator.normal(0, noise)
        rows.append(row(speaker=speaker, start=start, label=label, k=k, macro_f1=score))
    return finished(table(*rows))


def test_the_effects_that_made_the_trials_are_found():
    found = effects(study()).set_index("term")

    expected = {
        "a corpus more, at the fewest clips": 0.03,
        "twice the clips, without pre-finetuning": 0.05,
        "a corpus more, change with twice the clips": -0.01,
        "anger: without pre-finetuning, at the fewest clips": 0.03,
        "fear: without pre-finetuning, at the fewest clips": -0.01,
        "surprise: without pre-finetuning, at the fewest clips": -0.02,
        "surprise: a corpus more": 0.0,
        "surprise: twice the clips": 0.0,
    }
    for term, effect in expected.items():
        assert found.loc[term, "estimate"] == pytest.approx(effect, abs=0.006)
        assert found.loc[term, "low"] - 0.003 <= effect <= found.loc[term, "high"] + 0.003
    assert found.loc["a corpus more, at the fewest clips", "p"] < 0.001
    assert found["speakers"].unique() == [6] and found["cells"].unique() == [6 * 4 * 3 * 3]


def test_in_a_balanced_design_the_estimates_are_those_of_least_squares():
    trials = study(levels={"": 0.0})
    corpora, doublings = trials["corpora"], np.log2(trials["k"] / 2)
    columns = np.stack([np.ones(len(trials)), corpora, doublings, corpora * doublings], axis=1)
    by_hand = np.linalg.lstsq(columns, trials["macro_f1"], rcond=None)[0]

    found = effects(trials)

    assert found["term"].tolist() == [
        "a corpus more, at the fewest clips",
        "twice the clips, without pre-finetuning",
        "a corpus more, change with twice the clips",
    ]
    assert found["estimate"].tolist() == pytest.approx(by_hand[1:], abs=1e-4)


def test_too_little_variety_is_left_out():
    assert effects(study(speakers="uv")).empty
    assert effects(study(starts={"none": 0})).empty


def test_a_model_that_cannot_be_fitted_says_so():
    trials = study(speakers="uvw", noise=0.0).assign(macro_f1=0.5)

    found = effects(trials)

    assert found["note"].tolist() == ["could not be fitted to these trials"]
    assert found["estimate"].isna().all()
