"""Can the method `joint` tell, without looking at labels, which two emotions it does not tell apart?

Two numbers of the mixture of a voice stand for each pair of emotions: how far apart their means are, and how far the
clips of the pair are shared between the two. A pair is confused where a quarter or more of its clips, among those that
got either name, got the wrong one. Each number is judged by the area under its ROC curve. Remarks are made in three
ways: past the threshold that has the highest F1 on the other targets; past the lowest that is right four times of five
there; and of the one pair of a voice that is highest. Whisper tiny.en is read after layer 2; all recordings are heard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.common import parse_options, publish
from experiments.joint import Voice, taught_voices
from voicefit.adaptation import Shots, joint, prior
from voicefit.adaptation.joint import joint_head
from voicefit.heads.logistic import softmax

SHOTS_AN_EMOTION = (0, 1, 2)
CONFUSED = 0.25
RIGHT = 0.8
RULES = ("nearness of means", "shared clips")


def mixture_of(shots: Shots) -> tuple[joint.Mixture, np.ndarray]:
    """The mixture that `joint` fits to several emotions, and the clips, as it sees them."""
    known = prior.require_prior(shots.alone(), "joint")
    first = prior.posterior_head(shots, prior.Settings())
    parts = [shots.pooled, shots.unlabelled] if len(shots.pooled) else [shots.unlabelled]
    points = known.project(np.concatenate(parts))
    targets = shots.targets
    allowed = np.ones((len(points), shots.classes), dtype=bool)
    allowed[: len(targets)] = targets[:, None] == np.arange(shots.classes)
    guess = points @ first.classifier_weight.astype(np.float64).T + first.classifier_bias
    labels = np.array([shots.classes])
    found = joint.fit_mixtures(known, points[None], guess[None], allowed[None], len(shots.unlabelled), labels)
    return joint.Mixture(found.weights[0], found.biases[0], found.responsibilities[0]), points


def rows_of(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """A row per number of shots, draw and pair of emotions."""
    labels = voice.episodes.labels
    for each, draw in ((count, draw) for count in SHOTS_AN_EMOTION for draw in range(draws if count else 1)):
        episode = voice.episodes.multiclass(max(each, 1) * len(labels), draw)
        if episode is None:
            continue
        if not each:
            episode = replace(episode, support=(), support_targets=())
            more = [clip for clips in voice.episodes.pool.values() for clip in clips]
        else:
            more = voice.recordings(episode, draw)
        shots = voice.shots(episode, more)
        mixture, points = mixture_of(shots)
        shares = mixture.responsibilities
        means = shares.T @ points[:, : mixture.weights.shape[1]] / shares.sum(axis=0)[:, None]
        given = joint_head(shots)(shots.unlabelled)
        chances, answers = softmax(given.astype(np.float64)), given.argmax(axis=1)
        truth = np.array([labels.index(str(clip.label)) for clip in more])
        for a, b in combinations(range(len(labels)), 2):
            right = int(((truth == answers) & np.isin(truth, (a, b))).sum())
            wrong = int(((truth == a) & (answers == b)).sum() + ((truth == b) & (answers == a)).sum())
            if right + wrong < 4:
                continue
            weights = mixture.weights[a] - mixture.weights[b]
            yield {
                "shots": each,
                "draw": draw,
                "pair": f"{labels[a]} and {labels[b]}",
                "confused": wrong / (right + wrong) >= CONFUSED,
                "nearness of means": -float(weights @ (means[a] - means[b])),
                "shared clips": float(np.minimum(chances[:, a], chances[:, b]).sum() / chances[:, [a, b]].sum()),
            }


def remarks(here: pd.DataFrame, there: pd.DataFrame, rule: str) -> Iterator[tuple[str, pd.Series]]:
    """Which pairs are named, by way of choosing; ``there`` are the pairs of other targets."""
    thresholds = np.quantile(there[rule], np.linspace(0.5, 0.999, 200)).tolist()

    def right(threshold: float) -> float:
        return float(there.loc[there[rule] >= threshold, "confused"].mean())

    def f1(threshold: float) -> float:
        said = there[rule] >= threshold
        return 2 * int((said & there["confused"]).sum()) / max(1, int(said.sum() + there["confused"].sum()))

    yield "highest F1 elsewhere", here[rule] >= max(thresholds, key=f1)
    sure = [threshold for threshold in thresholds if right(threshold) >= RIGHT]
    yield "right four times of five elsewhere", here[rule] >= (min(sure) if sure else np.inf)
    yield "highest pair of a voice", here[rule] == here.groupby(["speaker", "draw"])[rule].transform("max")


def judged(pairs: pd.DataFrame, targets: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row per number of shots, number, target and way of choosing."""
    for shots, rule, target in ((s, r, t) for s in SHOTS_AN_EMOTION for r in RULES for t in targets):
        here = pairs[(pairs["shots"] == shots) & (pairs["target"] == target)]
        there = pairs[(pairs["shots"] == shots) & (pairs["target"] != target)]
        if here.empty or here["confused"].nunique() < 2 or there.empty:
            continue
        for way, said in remarks(here, there, rule):
            hits = int((said & here["confused"]).sum())
            yield {
                "labelled clips an emotion": shots,
                "number": rule,
                "target": target,
                "pairs": len(here),
                "confused": f"{here['confused'].mean():.2f}",
                "area under ROC": f"{roc_auc_score(here['confused'], here[rule]):.2f}",
                "remarks where": way,
                "remarks": int(said.sum()),
                "of which right": f"{hits / int(said.sum()):.2f}" if said.any() else "–",
                "confused pairs named": f"{hits / int(here['confused'].sum()):.2f}",
            }


def main() -> None:
    """How well each number foretells confused pairs, and how right a remark would be."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    targets = []
    for target, found in taught_voices(options.quick):
        targets.append(target)
        for voice in found:
            rows += [
                {"target": target, "speaker": voice.episodes.speaker, **row}
                for row in rows_of(voice, 1 if options.quick else 5)
            ]
    pairs = pd.DataFrame(rows)
    publish(list(judged(pairs, targets)), options, [f"A pair is confused where {CONFUSED:.0%} or more are wrong."])


if __name__ == "__main__":
    main()
