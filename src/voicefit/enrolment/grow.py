"""A voice's model grows: clips come, one is corrected, a label goes, and what was there is kept."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voicefit.adaptation import LIGHT_METHODS
from voicefit.checkpoints.adapted import start_digest
from voicefit.checkpoints.record import HEAD, read_record
from voicefit.checkpoints.start import Start
from voicefit.checkpoints.support import SHOTS, Support, read_support
from voicefit.corpora import Corpus, to_vocabulary
from voicefit.corpora.labels import plain
from voicefit.enrolment.beginning import open_repeatable
from voicefit.enrolment.clips import load_voice
from voicefit.enrolment.fitting import Adapted, Task, fit, model_labels
from voicefit.enrolment.given import Given, add_recordings, encoder_for, read_given
from voicefit.enrolment.request import Request, choose_method, default_method
from voicefit.errors import VoicefitError
from voicefit.system.hub import MINI, locate
from voicefit.system.progress import Progress, silent


def grow(
    model: str | Path,
    clips: str | Path | None = None,
    *,
    out: str | Path,
    start: str | Path | None = None,
    drop: Sequence[str] = (),
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    unlabelled: str | Path | None = None,
    channel: int | None = None,
    speech: bool = False,
    small: bool | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Adapted:
    """Adapt anew to all that a model was adapted on and to what is given now, and write the new model to ``out``.

    A clip that the model knows by its samples counts once. Under another label, it has that label from now on. A
    recording without a label that has one now counts as a labelled clip alone.

    The result is the model of all these clips at once, whatever the order in which they came.

    Args:
        model: directory of an adapted model, by a method that leaves the encoder as it is.
        clips: a folder with a folder of audio files per label, or a table; ``None`` for no more clips.
        out: the directory to write; that of ``model`` with ``overwrite``.
        start: what the model was adapted from, where it no longer lies where it did.
        drop: labels to forget, with their clips.
        method: as in :func:`voicefit.adapt`; left out, that of the model, or ``joint`` once there are recordings
            without labels.
        settings: what differs from the method's default settings; left out, those of the model.
        unlabelled: a file, folder or table with more clips of the voice; those of the model are kept.
        channel: the number of the one channel to take of each recording, from 1; left out, all are mixed.
        speech: leave out clips in which nobody speaks, and name them; needs the extra ``speech``.
        small: write the head alone; left out, as the model is.
        seed: fixes what the method draws at random.
        overwrite: take the place of an adapted model at ``out``.
        progress: reports every clip.

    Raises:
        VoicefitError: as :func:`voicefit.adapt`; or ``model`` does not say what it was adapted on, its start is not
            there or another, a label to drop is unknown, or there is nothing to do.
    """
    grown = _open(model)
    request = Request(
        model if clips is None else clips,
        Path(out),
        method=method,
        settings=settings or {},
        unlabelled=None if unlabelled is None else Path(unlabelled),
        channel=channel,
        speech=speech,
        small=grown.small if small is None else small,
        seed=seed,
        overwrite=overwrite,
        progress=progress,
    )
    request.check()
    if clips is None and unlabelled is None and not drop:
        raise VoicefitError(f"{model}: nothing to change; give clips, recordings without labels, or a label to drop")
    support, dropped = _dropped(grown, drop)
    corpus = None if clips is None else _as_named(load_voice(clips, channel), support)
    begin = _open_start(grown, start)
    task = _task(begin, grown, request, has_unlabelled=bool(len(support.unlabelled)) or unlabelled is not None)
    given = Given(support) if corpus is None else read_given(begin, task.encoder, corpus, request, trains=False)
    support, changed = _merged(support, given.support) if corpus is not None else (support, ())
    labels = model_labels(task, support, given.left_out)
    before = len(support.unlabelled)
    support = support.without_unlabelled(set(support.digests))
    labelled_now = before - len(support.unlabelled)
    support, given = add_recordings(support, task.encoder, given, request)
    remarks = (*dropped, *changed, *_now_labelled(labelled_now), *given.remarks)
    return fit(task, labels, support, replace(given, remarks=remarks))


@dataclass(frozen=True)
class _Grown:
    """A model that is to grow.

    Attributes:
        name: as it was given.
        record: what Voicefit wrote about it.
        support: what it was adapted on.
        encoder: the digest of its encoder.
        small: whether it is a head alone.
    """

    name: str
    record: dict[str, Any]
    support: Support
    encoder: str
    small: bool


def _open(model: str | Path) -> _Grown:
    located = locate(model)
    record = read_record(located)
    if record.get("kind") != "adapted":
        raise VoicefitError(f"{model}: is no adapted model, which --from takes; give what `voicefit adapt` wrote")
    if record.get("method") not in LIGHT_METHODS:
        raise VoicefitError(
            f"{model}: is by method {record.get('method')}, which trains the encoder: it cannot grow; adapt with all "
            "clips at once"
        )
    found = read_support(located)
    if found is None:
        raise VoicefitError(
            f"{model}: has no {SHOTS}, which says what it was adapted on (older models lack it, and the hub never gets "
            "it); adapt with all clips at once"
        )
    return _Grown(str(model), record, *found, small=located.file(HEAD) is not None)


def _open_start(grown: _Grown, start: str | Path | None) -> Start:
    """Open what a model was adapted from.

    Raises:
        VoicefitError: it is not there, or its encoder is another.
    """
    source = start if start is not None else grown.record.get("encoder", {}).get("source") or grown.record["source"]
    is_gone = source != MINI and start is None and not Path(source).exists()
    try:
        begin = open_repeatable(source)
    except VoicefitError as error:
        if is_gone:
            raise VoicefitError(
                f"{grown.name}: was adapted from {source}, which is not there; name it before the clips ({error})"
            ) from error
        raise
    found = start_digest(begin)
    if found != grown.encoder:
        raise VoicefitError(
            f"{grown.name}: was made with encoder {grown.encoder} of {grown.record['source']}; {source} has {found}: "
            "give the start of the model, or adapt anew"
        )
    return begin


def _task(begin: Start, grown: _Grown, request: Request, *, has_unlabelled: bool) -> Task:
    """The method for the grown model: what is asked for, or else that of the model."""
    before = str(grown.record["method"])
    if request.method:
        name = request.method
    else:  # the first recordings without labels bring their method with them, as they do at the beginning
        comes_first = request.unlabelled is not None and not len(grown.support.unlabelled)
        name = default_method(begin, has_unlabelled=True) if comes_first else before
    kept = grown.record.get("settings", {}) if name == before else {}
    method = choose_method(name, request.settings or kept, has_unlabelled)
    if method.method.trains_encoder:
        raise VoicefitError(
            f"method {name} trains the encoder, from which a model cannot grow; adapt with all clips at once, or take "
            "a method that leaves the encoder as it is"
        )
    return Task(begin, method, encoder_for(method, begin), request)


def _dropped(grown: _Grown, drop: Sequence[str]) -> tuple[Support, tuple[str, ...]]:
    """Return the support without these labels, and what was dropped in words."""
    support, told = grown.support, []
    for name in drop:
        label = next((word for word in (name, plain(name), to_vocabulary(name)) if word in support.named), None)
        if label is None:
            raise VoicefitError(f"{grown.name}: has no label {name} to drop; it has {', '.join(support.named)}")
        clips = support.labels.count(label)
        support = support.without_label(label)
        told.append(f"label {label} is dropped, with its {_clips(clips)}")
    return support, tuple(told)


def _as_named(corpus: Corpus, support: Support) -> Corpus:
    """Return the clips with the labels that the model has: it may keep apart what the vocabulary takes for one."""
    labels = {clip.native_label: plain(clip.native_label) for clip in corpus.clips}
    clips = tuple(
        replace(clip, label=labels[clip.native_label])
        if clip.label not in support.named and labels[clip.native_label] in support.named
        else clip
        for clip in corpus.clips
    )
    return replace(corpus, clips=clips)


def _merged(before: Support, given: Support) -> tuple[Support, tuple[str, ...]]:
    """Return what was known and what is given, and in words how they meet."""
    was, now = _labels_of(before), _labels_of(given)
    known = {digest for digest in now if was.get(digest) == now[digest]}
    corrected = {digest for digest in now if digest in was} - known
    kept, added = before.without(corrected), given.without(known)
    words = (
        f"{_clips(len(kept.ids))} of the model kept, {len(added.ids) - len(corrected)} added, "
        f"{len(corrected)} given another label",
        *_corrections(given, was, corrected),
        *([f"{_clips(len(known))} given again: the model has them already"] if known else []),
    )
    return kept.joined(added), words


def _labels_of(support: Support) -> dict[str, set[str]]:
    """Digest → the labels of its clips."""
    found: dict[str, set[str]] = defaultdict(set)
    for digest, label in zip(support.digests, support.labels, strict=True):
        found[digest].add(label)
    return found


def _corrections(given: Support, was: Mapping[str, set[str]], corrected: set[str]) -> Iterator[str]:
    for name, label, digest in zip(given.ids, given.labels, given.digests, strict=True):
        if digest in corrected:
            yield f"{name} was {' and '.join(sorted(was[digest]))}, and is {label} now"


def _now_labelled(count: int) -> Iterator[str]:
    if count:
        recordings, have = ("1 recording", "has") if count == 1 else (f"{count} recordings", "have")
        yield f"{recordings} of the model had no label, and {have} one now"


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
