"""Scores that are missing, alone, all alike, 0 or 1: every statistic has the right words for them."""

import json
import re
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from support.synthetic_runs import RECORD, grid, row, table, told_at_once
from voicefit.report import headline, statistics
from voicefit.report.build import summary, write_report
from voicefit.report.claims import claims
from voicefit.report.confusion import confusion_cells, label_scores
from voicefit.report.effects import effects
from voicefit.report.statistics import cell_means, finished, gain_cells, pair, sign_flip_p, smallest_p

NAN = float("nan")


@contextmanager
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_missing_difference_has_no_p():
    """Comparisons with NaN are false: of the sign patterns none would reach it, and p would be 0."""
    p = sign_flip_p(np.array([[0.1, NAN, 0.2], [0.1, 0.2, 0.3], [NAN, NAN, NAN]]))[:, 0]
    assert np.isnan(p[[0, 2]]).all() and p[1] == 0.25
    assert np.isnan(sign_flip_p(np.full((1, 20), NAN))).all()  # sampled
    assert sign_flip_p(np.zeros((1, 4))).item() == 1


@pytest.mark.parametrize("speakers", [1, 2, 5, 6, 12])
def test_the_smallest_p_is_that_of_equal_gains(speakers):
    found = sign_flip_p(np.full((1, speakers), 0.1)).item()
    assert np.isnan(found) if speakers == 1 else found == smallest_p(speakers)


def test_a_trial_without_the_score_is_left_out_of_mean_interval_and_test():
    trials = table(
        *(row(k=2, speaker=s, balanced_accuracy=v) for s, v in zip("abc", (0.1, 0.3, NAN), strict=True)),
        row(k=2, speaker="a", draw=1, balanced_accuracy=NAN),
        *(row(k=4, speaker=s, balanced_accuracy=NAN) for s in "ab"),
    )
    with no_warnings():
        cells = statistics.tested_means(finished(trials), ["k"], "balanced_accuracy")
    assert cells["k"].tolist() == [2]  # of 4 clips there is nothing to say
    cell = cells.iloc[0]
    assert cell["balanced_accuracy"] == pytest.approx(0.2)
    assert (cell["speakers"], cell["trials"]) == (2, 2)
    assert 0.1 <= cell["low"] <= cell["high"] <= 0.3
    assert cell["p"] == 0.5 and cell["p_t"] > 0


def test_no_score_at_all_is_an_empty_table():
    trials = finished(table(row(speaker="a", balanced_accuracy=NAN), row(speaker="b", balanced_accuracy=NAN)))
    cells = cell_means(trials, ["k"], "balanced_accuracy")
    assert cells.empty and list(cells) == ["k", "balanced_accuracy", "low", "high", "speakers", "trials"]
    assert statistics.tested_means(trials, ["k"], "balanced_accuracy").empty


def test_missing_gains_are_left_out_of_every_column():
    paired = pair(finished(grid({"none": 0.5, "a": 0.6})))
    paired.loc[paired["speaker"] == "c", "gain"] = NAN
    paired.loc[paired["k"] == 4, "gain"] = NAN
    cell = gain_cells(paired, ["k"]).set_index("k").loc[2]
    assert cell["gain"] == pytest.approx(0.1) and cell["gain"] == pytest.approx(cell["macro_f1"] - cell["base"])
    assert (cell["speakers"], cell["wins"], cell["ties"], cell["losses"], cell["p"]) == (2, 4, 0, 0, 0.5)
    assert gain_cells(paired, ["k"])["k"].tolist() == [2]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_scores_that_are_all_alike_have_an_interval_of_one_point(value):
    trials = finished(grid({"none": 0.5}).assign(macro_f1=value))
    with no_warnings():
        cells = cell_means(trials, ["k"])
    np.testing.assert_allclose(cells[["macro_f1", "low", "high"]], value, atol=1e-12)


def test_gains_that_are_all_zero_are_no_difference():
    trials = pd.concat([grid({"none": 0.5}), grid({"a": 0.5})])
    with no_warnings():
        cells = gain_cells(pair(finished(trials)), ["k"])
    assert cells["p"].tolist() == [1, 1]
    assert cells[["effect", "p_t", "holm"]].isna().all(axis=None)
    assert "makes no reliable difference" in headline(trials)
    verdicts = claims(pair(finished(trials))).set_index("claim")["verdict"]
    assert set(verdicts[:2]) == {"not testable: speakers do not differ"}


def test_a_claim_without_a_draw_that_has_both_sides_says_so():
    """Every speaker was asked with one number of clips only."""
    few, many = grid({"none": 0.5, "a": 0.6}, speakers="ab"), grid({"none": 0.5, "a": 0.6}, speakers="cd")
    trials = pd.concat([few[few["k"] == 2], many[many["k"] == 4]])
    verdicts = claims(pair(finished(trials))).set_index(["method", "claim"])["verdict"]
    assert verdicts["head", "it helps more with 2 clips than with 4"] == "not testable: no draw has both sides"


@pytest.mark.slow(4)
def test_the_mixed_model_of_scores_that_are_all_alike_says_that_it_cannot_be_fitted():
    trials = finished(grid({"none": 0.5, "a": 0.5, "a+b": 0.5}).assign(macro_f1=1.0))
    found = effects(trials)
    assert found["term"].unique().tolist() == ["the model"]
    assert set(found["note"]) == {"could not be fitted to these trials"}


def test_an_emotion_without_a_test_clip_has_no_recall_and_is_nobodys():
    at_once = ("anger", "calm", "fear"), [[2, 0, 0], [0, 0, 0], [1, 0, 1]]
    usual = ("anger", "calm", "fear"), [[2, 0, 0], [1, 1, 0], [0, 0, 2]]
    trials = finished(table(told_at_once(*at_once, speaker="a"), told_at_once(*usual, speaker="b")))
    with no_warnings():
        scores = label_scores(trials).set_index(["speaker", "label"])
        cells = confusion_cells(trials).set_index(["truth", "answer"])
    assert scores.loc[("a", "calm"), ["f1", "recall"]].isna().all()
    assert scores.loc[("b", "calm"), "recall"] == 0.5
    # Half of speaker b's calm clips are right; speaker a has none.
    assert cells.loc[("calm", "calm"), ["share", "speakers"]].tolist() == [0.5, 1]
    assert cells.loc[("anger", "anger"), ["share", "speakers"]].tolist() == [1, 2]
    assert cells.groupby("truth")["share"].sum().tolist() == pytest.approx([1, 1, 1])


def test_an_emotion_that_is_only_answered_has_f1_0_and_no_recall():
    scores = label_scores(finished(table(told_at_once(("anger", "calm"), [[1, 1], [0, 0]])))).set_index("label")
    assert scores.loc["calm", "f1"] == 0 and np.isnan(scores.loc["calm", "recall"])


ODD = {
    "one trial": table(row()),
    "one pair": table(row(start="none"), row(start="a", macro_f1=0.6)),
    "all 0": grid({"none": 0.0, "a": 0.0, "a+b": 0.0}).assign(macro_f1=0.0),
    "all 1": grid({"none": 1.0, "a": 1.0, "a+b": 1.0}).assign(macro_f1=1.0),
    "one draw of one speaker": pd.concat([grid({"none": 0.4, "a": 0.5}), table(row(start="a", speaker="z", draw=3))]),
    "emotions without clips": table(
        *(
            told_at_once(("anger", "calm", "fear"), counts, start=start, speaker=speaker)
            for start in ("none", "a")
            for speaker, counts in (("a", [[2, 0, 0], [0, 0, 0], [1, 0, 1]]), ("b", [[1, 1, 0], [0, 0, 0], [0, 0, 2]]))
        )
    ),
    "nothing but macro F1": grid({"none": 0.4, "a": 0.5}).assign(
        task="multiclass", label="", balanced_accuracy=NAN, floor_never=NAN, floor_coin=NAN, accuracy=NAN, seconds=NAN
    ),
}


@pytest.mark.slow(3)
@pytest.mark.usefixtures("without_pdfs")
@pytest.mark.parametrize("kind", ODD)
def test_a_report_of_odd_trials_is_written_and_holds_no_nan(tmp_path, kind):
    trials = ODD[kind].reset_index(drop=True)
    page = write_report(tmp_path, RECORD, trials).read_text()
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|\binf\b", words, re.IGNORECASE)
    json.dumps(summary(finished(trials)), allow_nan=False)
