"""The page of a run whose trials tell several emotions at once."""

import json

import pandas as pd
import pytest

from support.synthetic_runs import RECORD, grid, row, table, told_at_once
from voicefit.report import multiclass
from voicefit.report.build import write_report

LABELS = ["anger", "fear", "joy"]
BETTER, WORSE = [[4, 0, 0], [1, 3, 0], [0, 0, 4]], [[2, 2, 0], [2, 2, 0], [1, 1, 2]]


def trials_of(starts=("none", "a"), methods=("head", "full"), target="nemo"):
    """Three speakers, and 3 and 6 clips; pre-finetuned is better; `full` has 3 clips alone."""
    return table(
        *(
            told_at_once(
                LABELS,
                BETTER if start != "none" and (speaker, k) != ("c", 3) else WORSE,
                **{"start": start, "method": method, "speaker": speaker, "k": k, "target": target},
            )
            for start in starts
            for method in methods
            for speaker in "abc"
            for k in ((3, 6) if method == "head" else (3,))
        )
    )


def report(folder, trials):
    folder.mkdir(exist_ok=True)
    page = write_report(folder, RECORD | {"planned_trials": len(trials)}, trials)
    return page.read_text(encoding="utf-8"), page.parent


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return report(tmp_path_factory.mktemp("run"), trials_of())


@pytest.mark.slow(6)
def test_the_page_shows_each_emotion_and_what_it_is_taken_for(written):
    page, folder = written

    for words in (
        "Balanced accuracy (UAR) by k, nemo",
        "F1 and recall by label, nemo: a",
        "F1 by label",
        "Which label is taken for which, nemo",
    ):
        assert words in page
    assert {f"{name}.{suffix}" for name in ("labels", "confusion") for suffix in ("svg", "pdf")} <= {
        path.name for path in (folder / "figures").iterdir()
    }
    shares = pd.read_csv(folder / "data" / "confusion.csv").set_index(["start", "method", "k", "truth", "answer"])
    assert shares["share"]["a", "head", 6, "fear", "anger"] == 0.25
    # At 3 clips, c is as it was: two speakers have 1 of 4, c has 2 of 4.
    assert shares["share"]["a", "full", 3, "fear", "anger"] == pytest.approx(1 / 3, abs=1e-6)
    emotions = pd.read_csv(folder / "data" / "labels.csv").set_index(["start", "method", "k", "label"])
    assert emotions["recall"]["a", "head", 6, "fear"] == 0.75
    assert emotions["f1"]["a", "head", 6, "fear"] == pytest.approx(6 / 7, abs=1e-6)


@pytest.mark.slow(1)
def test_multiclass_has_the_paired_tests_of_one_vs_rest(written):
    page, folder = written

    for words in ("At a glance: a", "Gain over no pre-finetuning, nemo", "Methods against"):
        assert words in page
    gains = pd.read_csv(folder / "data" / "gain.csv").set_index(["method", "k"])
    better = (8 / 9 + 6 / 7 + 1) / 3
    worse = (4 / 9 + 4 / 9 + 2 / 3) / 3
    assert gains["gain"]["head", 6] == pytest.approx(better - worse, abs=1e-5)
    assert gains["p"]["head", 6] == 2 / 2**3


@pytest.mark.slow(1)
def test_each_emotion_has_its_paired_gain(written):
    page, folder = written

    assert "Gain in F1 by label, nemo: a" in page and "F1, the paired gain below it" in page
    gains = pd.read_csv(folder / "data" / "label-gains.csv").set_index(["method", "k", "label"])
    assert gains["gain"]["head", 6, "joy"] == pytest.approx(1 - 2 / 3, abs=1e-5)
    # At 3 clips, c is as it was.
    assert gains["gain"]["head", 3, "joy"] == pytest.approx((1 - 2 / 3) * 2 / 3, abs=1e-5)
    assert gains["base"]["head", 3, "joy"] == pytest.approx(2 / 3, abs=1e-5)


@pytest.mark.slow(1)
def test_k_stands_with_the_clips_of_each_emotion(written):
    page, folder = written

    assert "With 3 clips (1 of each label), pre-finetuning on a" in page
    assert "k = 6 (2 each)" in page and "Beside k: clips of each label." in page
    assert "dealt over the speaker's labels in turn" in page.replace("&#39;", "'")
    for name in ("macro-f1", "labels"):
        assert ">(2)<" in (folder / "figures" / f"{name}.svg").read_text(encoding="utf-8")


@pytest.mark.slow(1)
def test_among_several_emotions_no_coin_decides(written):
    page, folder = written

    assert "even guesses 0.45" in page and "a fair coin 0.45" not in page
    curves = (folder / "figures" / "macro-f1.svg").read_text(encoding="utf-8")
    assert "guess 0.451" in curves and "coin" not in curves


@pytest.mark.slow(6)
def test_a_report_is_the_same_twice(written, tmp_path):
    _, folder = written
    _, again = report(tmp_path, trials_of().sample(frac=1, random_state=0))

    once, twice = ({path.name: path.read_bytes() for path in made.rglob("*.*")} for made in (folder, again))
    assert once.keys() == twice.keys()
    assert [name for name in once if once[name] != twice[name]] == []


@pytest.mark.slow(5)
def test_trials_of_before_counts_were_recorded_are_reported_without_them(tmp_path, without_pdfs):
    older = trials_of(methods=("head",)).drop(columns=["confusion", "balanced_accuracy"])
    page, folder = report(tmp_path, older.assign(balanced_accuracy=None))

    assert "Macro F1 by k, nemo" in page and "Gain over no pre-finetuning, nemo" in page
    for words in ("taken for which", "by label", "(UAR) by k", "Beside k", "of each label)"):
        assert words not in page
    assert "even guesses" in page
    assert not (folder / "data" / "confusion.csv").exists()


@pytest.mark.slow(5)
def test_a_run_that_was_resumed_shows_what_was_recorded(tmp_path, without_pdfs):
    trials = trials_of(methods=("head",))
    trials.loc[trials["k"] == 3, "confusion"] = None
    page, folder = report(tmp_path, trials)

    assert "k = 6 (2 each)" in page and '<th scope="col" class="number">k = 3</th>' in page
    assert set(pd.read_csv(folder / "data" / "confusion.csv")["k"]) == {6}


@pytest.mark.slow(6)
def test_the_most_methods_that_are_shown_are_the_best(tmp_path, without_pdfs, monkeypatch):
    monkeypatch.setattr(multiclass, "MAX_MATRICES", 1)
    page, folder = report(tmp_path, trials_of())

    # At its most clips head is better than full, which has the draws of 3 clips alone.
    assert "the 1 method with the highest macro F1" in page
    matrices = (folder / "figures" / "confusion.svg").read_text(encoding="utf-8")
    assert "k = 6 (2 each)" in matrices and "full" not in matrices


@pytest.mark.slow(6)
def test_targets_have_a_figure_each_with_their_own_emotions(tmp_path, without_pdfs):
    other = trials_of(methods=("head",), target="other")
    other["confusion"] = [text.replace("joy", "calm") for text in other["confusion"]]
    page, folder = report(tmp_path, pd.concat([trials_of(methods=("head",)), other], ignore_index=True))

    assert "Which label is taken for which, other" in page
    first, second = ((folder / "figures" / f"{name}.svg").read_text() for name in ("confusion", "confusion-2"))
    assert "joy" in first and "calm" not in first
    assert "calm" in second and "joy" not in second


@pytest.mark.slow(6)
def test_one_against_the_rest_is_as_it_was(tmp_path, without_pdfs):
    both = pd.concat([grid({"none": 0.5, "a": 0.6}), trials_of(methods=("head",))], ignore_index=True)
    page, folder = report(tmp_path, both)

    names = {path.name for path in (folder / "data").iterdir()}
    assert {"2-confusion.csv", "2-balanced-accuracy.csv"} <= names
    assert not {"1-confusion.csv", "1-balanced-accuracy.csv"} & names
    first, second = page.split('id="setting-2"')
    assert "a fair coin" in first and "Beside k" not in first and "Beside k" in second


@pytest.mark.slow(2)
def test_labels_from_outside_are_escaped(tmp_path, without_pdfs):
    hostile = "<script>alert('x')</script>"
    trials = trials_of(methods=("head",))
    trials["confusion"] = [
        json.dumps({**json.loads(text), "labels": [hostile, "b", "c"]}) for text in trials["confusion"]
    ]
    page, _ = report(tmp_path, trials)

    assert page.count("<script") == 1 and "&lt;script&gt;alert" in page


@pytest.mark.slow(1)
def test_a_trial_that_failed_has_no_counts(tmp_path, without_pdfs):
    failed = row(task="multiclass", label="", error="boom", macro_f1=float("nan"), confusion=None)
    page, _ = report(tmp_path, pd.concat([trials_of(methods=("head",)), table(failed)], ignore_index=True))

    assert "1 failed trial" in page and "Which label is taken for which, nemo" in page
