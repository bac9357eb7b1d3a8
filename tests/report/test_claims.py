"""Claims on trials whose answers are known."""

import itertools

import numpy as np
import pytest
from scipy import stats

from support.synthetic_runs import row, table
from voicefit.report.claims import claims
from voicefit.report.statistics import finished, pair

GAINS = {"anger": 0.12, "fear": 0.08, "surprise": 0.01}
STARTS = {"a": 0.5, "b": 0.7, "a+b": 0.9, "a+b+c": 1.0}
"""Shares of an emotion's gain: most of it from one corpus (0.6 on average) to two."""


def study(starts=STARTS, gains=GAINS, ks=(2, 64), speakers="uvwxyz"):
    """Gains that halve at the most clips; every speaker has a little of their own."""
    rows = []
    for speaker, label, k, draw in itertools.product(speakers, gains, ks, (0, 1)):
        about = {"speaker": speaker, "label": label, "k": k, "draw": draw}
        rows.append(row(start="none", macro_f1=0.5, **about))
        for start, share in starts.items():
            own = 1 + 0.1 * speakers.index(speaker) + 0.001 * draw
            gain = gains[label] * share * own / (1 + (k == ks[-1] > 2))
            rows.append(row(start=start, macro_f1=0.5 + gain, **about))
    return claims(pair(finished(table(*rows)))).set_index("claim")


def test_what_the_trials_were_made_to_show_is_supported():
    found = study()

    assert found["verdict"].tolist() == ["supported"] * 5
    assert list(found.index) == [
        "pre-finetuning helps with 2 clips",
        "it helps more with 2 clips than with 64",
        "more corpora help more: 3 than 1",
        "most of that comes from 1 corpus to 2",
        "surprise gains least",
    ]


def test_estimates_by_hand():
    own = 1 + 0.1 * np.arange(6) + 0.0005
    found = study()["estimate"].to_list()

    mean = np.mean([0.12, 0.08, 0.01])
    assert found[0] == pytest.approx(mean * own.mean())
    assert found[1] == pytest.approx(mean * own.mean() / 2)
    # One corpus has 0.6 of the gain, two 0.9, three all of it: (0.9 - 0.6) - (1 - 0.9).
    assert found[2] == pytest.approx(0.4 * mean * own.mean())
    assert found[3] == pytest.approx(0.2 * mean * own.mean())
    assert found[4] == pytest.approx((0.1 - 0.01) * own.mean())


def test_tests_are_over_speakers_and_corrected_by_holm():
    found = study()
    own = 1 + 0.1 * np.arange(6) + 0.0005

    assert found["p_t"].to_list() == pytest.approx([stats.ttest_1samp(own, 0).pvalue] * 5)
    assert found["holm"].to_list() == pytest.approx([5 * stats.ttest_1samp(own, 0).pvalue] * 5)
    assert found["p"].to_list() == [2 / 2**6] * 5


def test_the_opposite_is_contradicted():
    found = study(gains={"anger": -0.1, "surprise": -0.02})

    assert found["verdict"].tolist() == ["contradicted"] * 5


def test_what_differs_between_speakers_in_sign_is_undecided():
    rows = [row(start="none", speaker=s, macro_f1=0.5) for s in "uvwxyz"]
    rows += [
        row(start="a", speaker=s, macro_f1=0.5 + g)
        for s, g in zip("uvwxyz", (0.1, -0.1, 0.2, -0.2, 0.1, -0.05), strict=True)
    ]

    assert claims(pair(finished(table(*rows))))["verdict"][0] == "undecided"


def test_what_cannot_be_tested_says_why():
    one_start = study(starts={"a": 1.0}, gains={"anger": 0.1}, ks=(2,))["verdict"].tolist()

    assert one_start == [
        "supported",
        "not testable: one number of clips",
        "not testable: every starting point has as many corpora",
        "not testable: needs starting points of one, two and more corpora",
        "not testable: needs surprise and other emotions, one against the rest",
    ]
    assert study(speakers="u")["verdict"].tolist() == ["not testable: one speaker"] * 5


def test_no_pairs_give_no_claims():
    assert claims(pair(finished(table(row(start="none"))))).empty
