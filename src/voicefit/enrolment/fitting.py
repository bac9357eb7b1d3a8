"""A model fitted to what is known of a voice, and written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from voicefit.adaptation import ConfiguredMethod, Shots
from voicefit.adaptation.copies import groups_of
from voicefit.adaptation.leave_one_out import LeaveOneOut, leave_one_out
from voicefit.checkpoints.adapted import can_copy, save_small, save_whole
from voicefit.checkpoints.start import Start
from voicefit.checkpoints.support import Support
from voicefit.enrolment.beginning import taught_by_corpora
from voicefit.enrolment.clips import in_order
from voicefit.enrolment.given import Given
from voicefit.enrolment.remarks import found_in_recordings, labels_without_clips, nothing_to_train, other_is_a_label
from voicefit.enrolment.request import Request
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
from voicefit.heads.novelty import Novelty
from voicefit.prediction.model import Model, load_model
from voicefit.prediction.voice import first_reason
from voicefit.system.extras import require


@dataclass(frozen=True)
class Adapted:
    """An adapted model and what it was made of.

    Attributes:
        out: the model's directory.
        method: the method that made it.
        shots: label → number of clips used.
        left_out: clip id → why it was not used.
        advice: clip id → what is odd about a clip that was used, as "is 0.2 s long and nearly silent".
        leave_one_out: how each clip is classified by a model fitted to the others; ``None`` where this tells
            nothing, see :func:`voicefit.adaptation.leave_one_out.leave_one_out`.
        remarks: what else is not as one would expect, a sentence each.
    """

    out: Path
    method: str
    shots: dict[str, int]
    left_out: dict[str, str]
    advice: dict[str, str]
    leave_one_out: LeaveOneOut | None
    remarks: tuple[str, ...]

    @cached_property
    def model(self) -> Model:
        """The model, ready to predict; loaded when it is first asked for."""
        return load_model(self.out)


@dataclass(frozen=True)
class Task:
    """How a voice's model is fitted.

    Attributes:
        begin: the start.
        method: the method.
        encoder: the start's, as the method needs it.
        request: what was asked.
    """

    begin: Start
    method: ConfiguredMethod[Any]
    encoder: Any
    request: Request

    @property
    def trains(self) -> bool:
        """Whether the encoder is changed."""
        return self.method.method.trains_encoder


@dataclass(frozen=True)
class Labels:
    """The labels of a model.

    Attributes:
        all: in the order of its logits.
        taught: those without a clip, which the start's corpora know.
        unknown: labels that were named, have no clip, and that nobody knows.
    """

    all: list[str]
    taught: set[str]
    unknown: set[str]


def model_labels(task: Task, support: Support, left_out: Mapping[str, str]) -> Labels:
    """Return the labels that a model can tell.

    Args:
        task: names the method and the start.
        support: the clips.
        left_out: clip → why it was not used, which may be why a label has none.

    Raises:
        VoicefitError: there are fewer than two.
    """
    with_clips = set(support.labels)
    without = set(support.named) - with_clips
    taught = taught_by_corpora(task.method, task.begin) & without
    found = in_order(with_clips | taught)
    if len(found) < 2:
        raise VoicefitError(
            f"{task.request.clips}: {len(found)} label has clips that can be used; at least two are needed"
            + (f" (not used: {first_reason(left_out)})" if left_out else "")
        )
    return Labels(found, taught, without - taught)


def fit(task: Task, labels: Labels, support: Support, given: Given) -> Adapted:
    """Fit a model to a voice, write it, and report.

    Args:
        task: start, method and request.
        labels: of the model.
        support: all that is known of the voice.
        given: what was given this time: its frames, and what there is to tell of it.
    """
    # In an order of their own, the same clips give the same model, whichever came first.
    support = support if task.trains else support.sorted()
    request, shots = task.request, _shots(task, labels, support, given)
    how_sure = leave_one_out(task.method, task.encoder, shots, request.seed, groups_of(support.digests))
    request.progress(f"adapting ({task.method.name})", 0, 1)
    head = task.method.fit(task.encoder, shots, request.seed)
    request.progress(f"adapting ({task.method.name})", 1, 1)
    record = _record(task, support, shots, given, how_sure) | {"temperature": head.temperature}
    _save(task, head, labels.all, record, replace(support, named=tuple(sorted(labels.all))))
    return Adapted(
        out=request.out,
        method=task.method.name,
        shots=_counts(support),
        left_out=given.left_out,
        advice=given.advice,
        leave_one_out=how_sure,
        remarks=(
            *given.remarks,
            *labels_without_clips(labels.taught | labels.unknown, labels.taught),
            *nothing_to_train(task.method, task.begin),
            *other_is_a_label(labels.all),
            *found_in_recordings(head, labels.all, shots.unlabelled),
        ),
    )


def _record(task: Task, support: Support, shots: Shots, given: Given, how_sure: LeaveOneOut | None) -> dict[str, Any]:
    """What a model was made of, as ``voicefit.json`` has it."""
    record = {
        "source": task.begin.source,
        "method": task.method.name,
        "settings": task.method.settings.model_dump(mode="json", exclude_unset=True),
        "seed": task.request.seed,
        "front_end": task.begin.front_end.model_dump(),
        "shots": _counts(support),
        "clips": dict(zip(support.digests, support.labels, strict=True)),
        "unlabelled": len(shots.unlabelled),
        "left_out": given.left_out,
        "leave_one_out": how_sure.to_json() if how_sure else None,
        "corpora": task.begin.record.get("corpora", []),
    }
    if task.begin.prior and not task.trains:
        known = Novelty.of_shots(task.begin.prior, shots.pooled, shots.targets, shots.classes)
        record["novelty"] = known.to_record()
    return record


def _counts(support: Support) -> dict[str, int]:
    return dict(sorted(Counter(support.labels).items()))


def _shots(task: Task, labels: Labels, support: Support, given: Given) -> Shots:
    targets = np.array([labels.all.index(label) for label in support.labels], dtype=np.int64)
    return Shots(
        support.pooled,
        given.frames,
        targets,
        len(labels.all),
        labels=tuple(labels.all),
        unlabelled=support.unlabelled,
        prior=task.begin.prior,
        partial=bool(labels.taught),
    )


def _save(task: Task, head: Head, labels: Sequence[str], record: dict[str, Any], support: Support) -> None:
    """Write an adapted model: small, or whole from the start's files, or from the encoder in PyTorch."""
    begin, out, overwrite = task.begin, task.request.out, task.request.overwrite
    if task.request.small:
        save_small(begin, head, labels, out, record, support, overwrite=overwrite)
    elif not task.trains and can_copy(begin):
        save_whole(begin, head, labels, out, record, support, overwrite=overwrite)
    else:
        require("train", f"{begin.source}: is a plain encoder, whose whole model (without --small) is written")
        from voicefit.checkpoints.checkpoint import save_adapted

        known = (None, None) if task.trains else (begin.prior, support)
        save_adapted(begin.encoder, head, labels, out, record, *known, overwrite=overwrite)
