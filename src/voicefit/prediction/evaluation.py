"""How well a model does on labelled clips of a voice."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.corpora import load_corpus
from voicefit.errors import VoicefitError
from voicefit.prediction.model import Prediction, load_model
from voicefit.prediction.together import predict_together
from voicefit.scores import confusion
from voicefit.system.progress import Progress, silent

_RESAMPLES = 1000


@dataclass(frozen=True)
class LabelScores:
    """How well one label is told, each 0 … 1 but the count.

    Attributes:
        clips: how many clips have the label.
        precision: the share of clips taken for it that have it; 0 where none is.
        recall: the share of its clips taken for it.
        f1: the harmonic mean of both.
    """

    clips: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Evaluation:
    """A model's scores on labelled clips.

    Attributes:
        clips: how many clips the scores are of.
        macro_f1: mean F1 over all labels that clips have or the model gave, as scikit-learn's ``f1_score`` has it: a
            label that the model gave and no clip has counts as one that is never right.
        macro_f1_of_clips: the same over the labels that clips have; other answers are wrong, and no more than that.
        interval: in which ``macro_f1`` lies in 95 of 100 resamples of the clips.
        accuracy: share of clips that are right.
        uar: unweighted average recall over the labels that clips have, as scikit-learn's ``balanced_accuracy_score``.
        uar_of_all: the same over all labels that clips have or the model gave, as its ``recall_score`` has it: a label
            that no clip has counts as 0.
        most_common: ``macro_f1`` of always naming the label that most clips have.
        labels: label → its scores.
        confusion: label of the clips → label of the model → number of clips.
        left_out: clip → why it was not used.
    """

    clips: int
    macro_f1: float
    macro_f1_of_clips: float
    interval: tuple[float, float]
    accuracy: float
    uar: float
    uar_of_all: float
    most_common: float
    labels: dict[str, LabelScores]
    confusion: dict[str, dict[str, int]]
    left_out: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def remark(self) -> str:
        """What to know of these scores where the model gave a label that no clip has; empty otherwise."""
        given = [name for name, scores in self.labels.items() if not scores.clips]
        if not given:
            return ""
        return (
            f"No clip has the label {', '.join(given)}, which the model gave: macro F1 counts it as 0, UAR does not. "
            f"Over the labels of the clips alone, macro F1 is {self.macro_f1_of_clips:.3f}."
        )


def evaluate(
    model: str | Path, clips: str | Path, *, together: bool = False, progress: Progress = silent
) -> Evaluation:
    """Score a model on labelled clips that it was not adapted on.

    Args:
        model: directory or hub id of an adapted model, or of a pre-finetuned checkpoint.
        clips: a folder with a folder of audio files per label, all of one voice if ``together``.
        together: label the clips together, see :mod:`voicefit.prediction.together`.
        progress: called for every clip.

    Raises:
        VoicefitError: the model or the clips cannot be loaded, no clip has a label that the model knows, or clips of
            several speakers are to be labelled together.
    """
    corpus = load_corpus("folder", clips)
    if together and len(corpus.speakers) > 1:
        raise VoicefitError(
            f"{clips}: holds clips of {len(corpus.speakers)} speakers; only those of one voice can be labelled "
            "together: give the folder of one, or leave --together out"
        )
    truth = {str(clip.path): str(clip.label) for clip in corpus.clips}
    paths = [Path(path) for path in truth]
    if together:
        predictor, found = predict_together(model, paths, progress)
    else:
        predictor = load_model(model)
        found = predictor.predict_files(paths, progress)
    left_out = {item.file: item.error for item in found if item.error}
    unknown = sorted(set(truth.values()) - set(predictor.labels))
    for path, label in truth.items():
        if label in unknown and path not in left_out:
            left_out[path] = f"the model does not know the label {label}"
    used = [item for item in found if item.file not in left_out]
    if not used:
        raise VoicefitError(f"{clips}: no clip can be scored ({next(iter(left_out.values()))})")
    return _scored([truth[item.file] for item in used], used, left_out)


def _scored(truth: Sequence[str], found: Sequence[Prediction], left_out: dict[str, str]) -> Evaluation:
    names = sorted({*truth, *(item.label for item in found)})
    counts = confusion([names.index(label) for label in truth], [names.index(item.label) for item in found], len(names))
    clips, most_common = counts.sum(axis=1), np.zeros_like(counts)
    most_common[:, clips.argmax()] = clips
    # Clips drawn anew, as many as there are: how often each pair of label and answer occurs.
    drawn = np.random.default_rng(0).multinomial(len(truth), counts.ravel() / len(truth), size=_RESAMPLES)
    low, high = np.quantile([_macro_f1(one.reshape(counts.shape)) for one in drawn], [0.025, 0.975])
    scores = {name: _label_scores(counts, index) for index, name in enumerate(names)}
    of_clips = [scores[name] for name in set(truth)]
    return Evaluation(
        clips=len(truth),
        macro_f1=_macro_f1(counts),
        macro_f1_of_clips=float(np.mean([label.f1 for label in of_clips])),
        interval=(float(low), float(high)),
        accuracy=float(np.trace(counts) / len(truth)),
        uar=float(np.mean([label.recall for label in of_clips])),
        uar_of_all=float(np.mean([label.recall for label in scores.values()])),
        most_common=_macro_f1(most_common),
        labels=scores,
        confusion={
            name: {other: int(counts[row, column]) for column, other in enumerate(names)}
            for row, name in enumerate(names)
            if name in truth
        },
        left_out=left_out,
    )


def _macro_f1(counts: np.ndarray) -> float:
    """Mean F1 over the labels that clips or answers have, of :func:`voicefit.scores.confusion`."""
    right, clips, answers = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    occurs = clips + answers > 0
    return float((2 * right[occurs] / (clips + answers)[occurs]).mean())


def _label_scores(counts: np.ndarray, index: int) -> LabelScores:
    right, clips, answers = counts[index, index], counts[index].sum(), counts[:, index].sum()
    return LabelScores(
        clips=int(clips),
        precision=float(right / answers) if answers else 0.0,
        recall=float(right / clips) if clips else 0.0,
        f1=float(2 * right / (clips + answers)) if clips + answers else 0.0,
    )
