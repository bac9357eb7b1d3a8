"""Numbers from confusion counts: by hand, and against scikit-learn and loops over the clips."""

from collections import defaultdict

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from support.synthetic_runs import row, table, told_at_once
from voicefit.report.confusion import confusion_cells, label_scores, shots_each
from voicefit.report.statistics import finished

LABELS = ["anger", "fear", "joy"]


@pytest.fixture
def trials():
    """Speaker a has two draws and b one; b has no clip with fear."""
    return finished(
        table(
            told_at_once(LABELS, [[3, 1, 0], [2, 2, 0], [0, 0, 2]], speaker="a", k=6, draw=0),
            told_at_once(LABELS, [[4, 0, 0], [1, 2, 1], [0, 2, 0]], speaker="a", k=6, draw=1),
            told_at_once(["anger", "joy"], [[1, 1], [0, 2]], speaker="b", k=6),
            row(task="multiclass", label="", speaker="c", k=6, confusion=None),
        )
    )


def test_scores_of_emotions_by_hand(trials):
    scores = label_scores(trials)

    assert scores[["speaker", "draw", "label"]].to_numpy().tolist() == [
        *(["a", draw, label] for draw in (0, 1) for label in LABELS),
        ["b", 0, "anger"],
        ["b", 0, "joy"],
    ]
    # Twice the hits, divided by the clips of the emotion and the answers that name it.
    f1 = [6 / (4 + 5), 4 / (4 + 3), 1, 8 / (4 + 5), 4 / (4 + 4), 0, 2 / (2 + 1), 4 / (2 + 3)]
    assert scores["f1"].tolist() == pytest.approx(f1)
    assert scores["recall"].tolist() == [3 / 4, 2 / 4, 1, 1, 2 / 4, 0, 1 / 2, 1]


def test_confusions_by_hand(trials):
    cells = confusion_cells(trials)

    assert set(cells["start"] + cells["target"] + cells["method"]) == {"nonenemohead"}
    shares = cells.pivot(index="truth", columns="answer", values="share")
    # a: 7 of 8 angry clips right, b: 1 of 2; each counts half. Fear is a's alone.
    assert shares.loc["anger"].tolist() == pytest.approx([(7 / 8 + 1 / 2) / 2, (1 / 8) / 2, (1 / 2) / 2])
    assert shares.loc["fear"].tolist() == pytest.approx([3 / 8, 4 / 8, 1 / 8])
    assert shares.loc["joy"].tolist() == pytest.approx([0, (2 / 4) / 2, (2 / 4 + 1) / 2])
    assert cells.groupby("truth")["speakers"].first().to_dict() == {"anger": 2, "fear": 1, "joy": 2}


def test_shots_of_each_emotion():
    labels = ["a", "b", "c", "d", "e", "f", "g"]
    seven = [told_at_once(labels, np.eye(7, dtype=int).tolist(), k=k) for k in (7, 14, 16, 20)]
    six = told_at_once(labels[:6], np.eye(6, dtype=int).tolist(), k=14, speaker="b")

    assert shots_each(finished(table(*seven))) == {7: "1", 14: "2", 16: "2–3", 20: "2–3"}
    # 14 clips over six emotions: two have 3.
    assert shots_each(finished(table(*seven, six))) == {7: "1", 14: "2–3", 16: "2–3", 20: "2–3"}


@pytest.mark.parametrize("trials", [table(row()), table(row(task="multiclass", label="", confusion=None))])
def test_trials_without_counts_give_nothing(trials):
    trials = finished(trials)

    assert shots_each(trials) == {}
    assert label_scores(trials).empty and confusion_cells(trials).empty


def answered(generator):
    """Trials by chance, and for each speaker and k the answers to each clip of each draw."""
    rows, heard = [], {}
    for speaker, labels in (("a", "tuvw"), ("b", "tvw"), ("c", "tu")):
        truth = np.repeat(np.arange(len(labels)), generator.integers(1, 5, len(labels)))
        for k, draw in ((4, 0), (4, 1), (8, 0)):
            answers = generator.integers(0, len(labels), len(truth))
            counts = np.zeros((len(labels), len(labels)), dtype=int)
            np.add.at(counts, (truth, answers), 1)
            rows.append(told_at_once(labels, counts.tolist(), speaker=speaker, k=k, draw=draw))
            heard[speaker, k, draw] = [(labels[t], labels[a]) for t, a in zip(truth, answers, strict=True)]
    return finished(table(*rows)), heard


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_emotions_are_those_of_scikit_learn(seed):
    trials, heard = answered(np.random.default_rng(seed))
    scores = label_scores(trials)

    for (speaker, k, draw), pairs in heard.items():
        truth, answers = zip(*pairs, strict=True)
        found = scores[(scores["speaker"] == speaker) & (scores["k"] == k) & (scores["draw"] == draw)]
        kinds = found["label"].tolist()
        assert kinds == sorted(set(truth))
        f1 = f1_score(truth, answers, labels=kinds, average=None, zero_division=0)
        assert found["f1"].tolist() == pytest.approx(f1.tolist())
        assert found["recall"].tolist() == pytest.approx(recall_score(truth, answers, labels=kinds, average=None))
    by_trial = scores.groupby(["speaker", "k", "draw"])[["f1", "recall"]].mean()
    stored = trials.set_index(["speaker", "k", "draw"]).loc[by_trial.index]
    assert by_trial["f1"].tolist() == pytest.approx(stored["macro_f1"].tolist())
    assert by_trial["recall"].tolist() == pytest.approx(stored["balanced_accuracy"].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_confusions_are_those_of_a_loop_over_the_clips(seed):
    trials, heard = answered(np.random.default_rng(seed))
    cells = confusion_cells(trials)

    for k in (4, 8):
        of_speaker = defaultdict(lambda: defaultdict(list))
        for (speaker, shots, _), pairs in heard.items():
            for truth, answer in pairs if shots == k else ():
                of_speaker[truth][speaker].append(answer)
        for cell in cells[cells["k"] == k].itertuples():
            each = [answers.count(cell.answer) / len(answers) for answers in of_speaker[cell.truth].values()]
            assert cell.share == pytest.approx(sum(each) / len(each))
            assert cell.speakers == len(each)
    assert cells.groupby(["k", "truth"])["share"].sum().tolist() == pytest.approx([1] * 8)
