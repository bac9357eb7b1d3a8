"""How well a model does on labelled clips of a voice."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.corpora import Clip, Corpus, load_clips
from voicefit.corpora.labels import plain
from voicefit.errors import VoicefitError
from voicefit.heads.logistic import softmax
from voicefit.prediction.model import Model, Prediction, load_model
from voicefit.prediction.together import predict_together
from voicefit.prediction.voice import embed_clips
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
    model: str | Path,
    clips: str | Path,
    *,
    together: bool = False,
    channel: int | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Score a model on labelled clips that it was not adapted on.

    Args:
        model: directory or hub id of an adapted model, or of a pre-finetuned checkpoint.
        clips: a folder with a folder of audio files per label, or a table; all of one voice if ``together``.
        together: label the clips together, see :mod:`voicefit.prediction.together`.
        channel: the number of the one channel to take of each recording, from 1.
        progress: called for every clip.

    Raises:
        VoicefitError: the model or the clips cannot be loaded, no clip has a label that the model knows, or clips of
            several speakers are to be labelled together.
    """
    corpus = load_clips(clips, channel=channel)
    if together and len(corpus.speakers) > 1:
        raise VoicefitError(
            f"{clips}: holds clips of {len(corpus.speakers)} speakers; only those of one voice can be labelled "
            "together: give the folder of one, or leave --together out"
        )
    predictor, found = (_together if together else _alone)(model, corpus, progress)
    left_out = dict(corpus.account.left_out) | {item.file: item.error for item in found if item.error}
    truth = {_name(clip): _truth(clip, predictor.labels) for clip in corpus.clips}
    for name, label in truth.items():
        if name not in left_out and label not in predictor.labels:
            left_out[name] = f"the model does not know the label {label}" if label else "it has no label"
    used = [item for item in found if item.file not in left_out]
    if not used:
        raise VoicefitError(f"{clips}: no clip can be scored ({next(iter(left_out.values()))})")
    return _scored([truth[item.file] for item in used], used, left_out)


def _alone(model: str | Path, corpus: Corpus, progress: Progress) -> tuple[Model, list[Prediction]]:
    """Label each clip by itself."""
    predictor = load_model(model)
    read = embed_clips(predictor.encoder, corpus.clips, progress)
    vectors = {clip.id: vector for clip, vector in zip(read.clips, read.pooled, strict=True)}
    return predictor, [
        predictor.named(softmax(predictor.head(vectors[clip.id][None]))[0], _name(clip))
        if clip.id in vectors
        else Prediction(_name(clip), "", {}, read.left_out[clip.id])
        for clip in corpus.clips
    ]


def _together(model: str | Path, corpus: Corpus, progress: Progress) -> tuple[Model, list[Prediction]]:
    """Label the clips together, which are whole files."""
    if any((clip.start, clip.end, clip.channel) != (0.0, None, corpus.clips[0].channel) for clip in corpus.clips):
        raise VoicefitError(f"{corpus.root}: --together labels whole files, and a row names a part of one")
    return predict_together(model, [clip.path for clip in corpus.clips], progress, corpus.clips[0].channel)


def _name(clip: Clip) -> str:
    """The file of a clip or, of a part of a file, the clip's id."""
    return str(clip.path) if (clip.start, clip.end) == (0.0, None) and "#" not in clip.id else clip.id


def _truth(clip: Clip, known: Sequence[str]) -> str:
    """A clip's label; as it was written, if the model knows it by that: of "happy" and "joy", it keeps both apart."""
    written = plain(clip.native_label)
    return written if clip.label not in known and written in known else clip.label or ""


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
