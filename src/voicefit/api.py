"""The calls that a notebook needs: strings and paths in, models and predictions out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from voicefit.adaptation import ConfiguredMethod, find_method
from voicefit.adaptation.copies import groups_of
from voicefit.adaptation.leave_one_out import LeaveOneOut, leave_one_out
from voicefit.adaptation.shots import OTHER
from voicefit.adaptation.suggestion import suggest as choose_recordings
from voicefit.audio.find import look_into
from voicefit.checkpoints.adapted import can_copy, encoder_digest, save_small, save_whole
from voicefit.checkpoints.start import Start, open_start
from voicefit.corpora import Clip, Corpus, load_clips, load_corpus
from voicefit.corpora.advice import advice
from voicefit.corpora.check import check_corpus
from voicefit.corpora.folder import label_folders
from voicefit.encoders.front_end import Reading
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
from voicefit.heads.novelty import Novelty
from voicefit.prediction.model import Model, load_model
from voicefit.prediction.voice import embed_clips, embed_recordings, first_reason, front_clips
from voicefit.system.extras import require
from voicefit.system.files import require_absent
from voicefit.system.hub import MINI
from voicefit.system.progress import Progress, silent

if TYPE_CHECKING:
    from voicefit.encoders import Encoder
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.settings import PrefinetuneSettings


def prefinetune(
    encoder: str | Path,
    corpora: Mapping[str, str | Path],
    out: str | Path,
    *,
    protocol: str = "clean",
    reading: Reading | None = None,
    settings: "PrefinetuneSettings | None" = None,
    run: "Run | None" = None,
) -> Path:
    """Pre-finetune an encoder on corpora and write a checkpoint; see :mod:`voicefit.prefinetuning`.

    Each process that `torchrun` has started takes a share of the work (:mod:`voicefit.system.distributed`).

    Args:
        encoder: hub id or directory of a pretrained encoder.
        corpora: name → path; a name that the registry knows stands for that layout.
        out: the checkpoint directory to write.
        protocol: ``clean`` or ``paper``.
        reading: how much of the encoder is run; ``None`` runs all of it.
        settings: ``None`` takes the protocol's.
        run: seed, resuming and callbacks; its ``processes`` are found here.

    Raises:
        VoicefitError: whatever is wrong with the encoder, a corpus or ``out``.
    """
    require("train", "pre-finetuning trains an encoder")
    from voicefit.encoders.load import load_encoder
    from voicefit.export.encoder import complete_with_graph
    from voicefit.prefinetuning.prefinetune import Run
    from voicefit.prefinetuning.prefinetune import prefinetune as run_prefinetuning
    from voicefit.system.distributed import joined

    with joined() as processes:
        require_absent(Path(out))
        loaded = [load_corpus(name, path) for name, path in corpora.items()]
        path = run_prefinetuning(
            load_encoder(encoder, reading).to(processes.device),
            loaded,
            Path(out),
            source=str(encoder),
            protocol=protocol,
            settings=settings,
            run=replace(run or Run(), processes=processes),
        )
        if processes.rank == 0:
            complete_with_graph(path, run.notify if run else silent)
        return path


@dataclass(frozen=True)
class Adapted:
    """An adapted model and what it was made of.

    Attributes:
        model: ready to predict.
        method: the method that made it.
        shots: label → number of clips used.
        left_out: clip id → why it was not used.
        advice: clip id → what is odd about a clip that was used, as "is 0.2 s long and nearly silent".
        leave_one_out: how each clip is classified by a model fitted to the others; ``None`` where this tells
            nothing, see :func:`voicefit.adaptation.leave_one_out.leave_one_out`.
        remarks: what else is not as one would expect, a sentence each.
    """

    model: Model
    method: str
    shots: dict[str, int]
    left_out: dict[str, str]
    advice: dict[str, str]
    leave_one_out: LeaveOneOut | None
    remarks: tuple[str, ...]


def adapt(
    start: str | Path,
    clips: str | Path,
    *,
    out: str | Path,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    unlabelled: str | Path | None = None,
    channel: int | None = None,
    small: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> Adapted:
    """Fit a model to one voice and write it to ``out``, a `transformers` directory.

    Args:
        start: directory or hub id of a pre-finetuned checkpoint or a plain encoder.
        clips: a folder with a folder of audio files per label, or a table.
        out: the directory to write.
        method: any of :data:`voicefit.adaptation.METHODS` but ``published``; left out, ``prior`` from a pre-finetuned
            checkpoint, ``joint`` if there are unlabelled clips as well, and ``head`` from a plain encoder.
        settings: what differs from the method's default settings.
        unlabelled: a file, folder or table with more clips of the voice, for ``joint``, ``prior`` and ``zero-shot``.
        channel: the number of the one channel to take of each recording, from 1; left out, all are mixed.
        small: write kilobytes: the head alone, and the name and digest of its encoder, which stays where it is.
        seed: fixes what the method draws at random.
        progress: reports every clip.

    Raises:
        VoicefitError: ``out`` exists, the start cannot be loaded, ``clips`` are of several speakers, fewer than two
            labels have a usable clip, or the method or a setting of it is unknown.
    """
    require_absent(Path(out))
    choose = partial(_choose_method, settings=settings, has_unlabelled=unlabelled is not None)
    named = choose(method) if method else None  # a wrong call is refused before anything is loaded
    if small and named and named.method.trains_encoder:
        raise VoicefitError(f"method {named.name} changes the encoder: a model by it is whole; leave --small out")
    corpus = _load_voice(clips, channel)
    begin = _open_repeatable(start)
    if small:
        encoder_digest(begin)  # a start without one is refused before the work
    chosen = named or choose(_default_method(begin, unlabelled is not None))
    trains = chosen.method.trains_encoder
    encoder = _on_first_device(begin) if trains else begin.fixed_encoder
    heard = begin.front_end.max_seconds
    report = check_corpus(corpus, lambda done, total: progress("checking clips", done, total), heard)
    read = partial(front_clips, begin.encoder) if trains else partial(embed_clips, encoder)
    voice = read(corpus.clips, progress)
    if not voice.clips:
        raise VoicefitError(f"{clips}: holds no clip that can be used ({first_reason(voice.left_out)})")
    with_clips = {str(clip.label) for clip in voice.clips}
    taught = _taught_by_corpora(chosen, begin) & (_named_labels(corpus) - with_clips)
    labels = _in_order(with_clips | taught)
    if len(labels) < 2:
        raise VoicefitError(f"{clips}: {len(labels)} label has clips that can be used; at least two are needed")
    shots, left_out = voice.shots(labels, begin, partial=bool(taught)), corpus.account.left_out | voice.left_out
    if unlabelled is not None:
        recordings = embed_recordings(encoder, unlabelled, corpus.clips, progress, channel)
        shots, left_out = replace(shots, unlabelled=recordings.pooled), left_out | recordings.left_out
    digests = {clip.clip_id: clip.digest for clip in report.clips}
    groups = groups_of([digests.get(clip.id, clip.id) for clip in voice.clips])
    how_sure = leave_one_out(chosen, encoder, shots, seed, groups)
    progress(f"adapting ({chosen.name})", 0, 1)
    head = chosen.fit(encoder, shots, seed)
    progress(f"adapting ({chosen.name})", 1, 1)
    counts = dict(sorted(Counter(str(clip.label) for clip in voice.clips).items()))
    record = {
        "source": begin.source,
        "method": chosen.name,
        "seed": seed,
        "front_end": begin.front_end.model_dump(),
        "shots": counts,
        "clips": {digests[clip.id]: str(clip.label) for clip in voice.clips if clip.id in digests},
        "unlabelled": len(shots.unlabelled),
        "left_out": left_out,
        "leave_one_out": how_sure.to_json() if how_sure else None,
        "corpora": begin.record.get("corpora", []),
    }
    if begin.prior and not trains:
        record["novelty"] = Novelty.of_shots(begin.prior, shots.pooled, shots.targets, len(labels)).to_record()
    _save(begin, head, labels, Path(out), record, trains=trains, small=small)
    return Adapted(
        model=load_model(out),
        method=chosen.name,
        shots=counts,
        left_out=left_out,
        advice=advice(report, begin.front_end.max_seconds),
        leave_one_out=how_sure,
        remarks=(
            *corpus.account.remarks,
            *_labels_without_clips(_named_labels(corpus) - with_clips, taught),
            *_nothing_to_train(chosen, begin),
            *_other_is_a_label(labels),
            *_found_in_recordings(head, labels, shots.unlabelled),
        ),
    )


def _in_order(labels: set[str]) -> list[str]:
    """Sort labels; where one is told from a rest that has no name, the rest comes first, as methods expect it."""
    return sorted(labels, key=lambda label: (label != OTHER, label) if len(labels) == 2 else (False, label))


def _save(
    begin: Start, head: Head, labels: Sequence[str], out: Path, record: dict[str, Any], *, trains: bool, small: bool
) -> None:
    """Write an adapted model: small, or whole from the start's files, or from the encoder in PyTorch."""
    if small:
        save_small(begin, head, labels, out, record)
    elif not trains and can_copy(begin):
        save_whole(begin, head, labels, out, record)
    else:
        require("train", f"{begin.source}: is a plain encoder, whose whole model (without --small) is written")
        from voicefit.checkpoints.checkpoint import save_adapted

        save_adapted(begin.encoder, head, labels, out, record, None if trains else begin.prior)


@dataclass(frozen=True)
class Suggestion:
    """A recording whose label would help.

    Attributes:
        file: the recording.
        label: the likeliest label so far.
        probability: of that label, 0 … 1.
    """

    file: str
    label: str
    probability: float


def suggest(
    recordings: str | Path,
    *,
    start: str | Path = MINI,
    labelled: str | Path | None = None,
    count: int = 5,
    progress: Progress = silent,
) -> tuple[list[Suggestion], dict[str, str]]:
    """Name the recordings of a voice whose labels would help most, see :mod:`voicefit.adaptation.suggestion`.

    Args:
        recordings: a file or folder with clips of one voice.
        start: directory or hub id of a pre-finetuned checkpoint.
        labelled: a folder with a folder per label, which holds the clips that have it; an empty one names a label that
            no clip has yet. Left out, the labels are those of the start's corpora.
        count: how many recordings to name.
        progress: reports every clip.

    Returns:
        the recordings, the most useful first; and clip → why it was not used, or label → why it cannot be found.

    Raises:
        VoicefitError: the start knows no labels, there are fewer than two labels, or no recording can be used.
    """
    begin = _open_repeatable(start)
    if begin.prior is None:
        raise VoicefitError(f"{start}: is a plain encoder, which knows no labels; give a pre-finetuned checkpoint")
    labels, clips, more = _labels_and_clips(labelled) if labelled is not None else (list(begin.prior.labels), [], {})
    encoder = begin.fixed_encoder
    voice = embed_clips(encoder, clips, progress)
    found = embed_recordings(encoder, recordings, clips, progress)
    shots = replace(voice.shots(labels, begin, partial=True), unlabelled=found.pooled)
    rows, chances = choose_recordings(shots, count)
    best = chances.argmax(axis=1)
    chosen = [Suggestion(found.clips[row].id, labels[best[row]], float(chances[row, best[row]])) for row in rows]
    guessed = {
        label: "no clip has this label and no corpus of the start knows it; label one to have more of it found"
        for label in sorted(set(labels) - {OTHER, *begin.prior.labels} - {str(clip.label) for clip in voice.clips})
    }
    return chosen, more | voice.left_out | found.left_out | guessed


def _labels_and_clips(folder: str | Path) -> tuple[list[str], list[Clip], dict[str, str]]:
    """The names of a folder's folders, in the vocabulary, the clips in them, and what else is there → why not used."""
    root = Path(folder)
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds <label>/<audio file>")
    if look_into(root).recordings:
        corpus = _load_voice(root)
        labels, clips, left_out = _named_labels(corpus), list(corpus.clips), corpus.account.left_out
    else:
        labels, clips, left_out = set(label_folders(root)), [], {}
    if len(labels) < 2:
        raise VoicefitError(f"{root}: names {len(labels)} label; make a folder, empty if need be, for each")
    return _in_order(set(labels)), clips, left_out


def _default_method(start: Start, has_unlabelled: bool) -> str:
    if start.prior is None:
        return "head"
    return "joint" if has_unlabelled else "prior"


def _found_in_recordings(head: Head, labels: Sequence[str], unlabelled: np.ndarray) -> Iterator[str]:
    if len(unlabelled):
        counts = np.bincount(head(unlabelled).argmax(axis=1), minlength=len(labels)).tolist()
        found = ", ".join(f"{count} {label}" for label, count in zip(labels, counts, strict=True))
        recordings = "1 recording" if len(unlabelled) == 1 else f"{len(unlabelled)} recordings"
        yield f"{recordings} without labels took part; as the model has it: {found}"


def _named_labels(corpus: Corpus) -> set[str]:
    """The labels of a voice's clips, and those of folders beside theirs that are empty."""
    return set(corpus.account.empty_labels) | set(corpus.labels)


def _taught_by_corpora(configured: ConfiguredMethod[Any], begin: Start) -> set[str]:
    """The labels that a model can have without a clip of them."""
    begins_at_prior = configured.method.needs_prior and not configured.method.trains_encoder
    begins_at_prior &= getattr(configured.settings, "prior_shots", 1) > 0
    return set(begin.prior.labels) if begin.prior and begins_at_prior else set()


def _labels_without_clips(labels: set[str], taught: set[str]) -> Iterator[str]:
    for label in sorted(labels):
        yield (
            f"no clip of {label} can be used: the model knows this label from the start's corpora alone"
            if label in taught
            else f"no clip of {label} can be used: the model does not know this label"
        )


def _other_is_a_label(labels: Sequence[str]) -> Iterator[str]:
    if OTHER in labels and len(labels) > 2:
        yield (
            f"{OTHER} is a label beside the others: clips like those in it are called {OTHER}. Put clips of every kind "
            "in it that the model may hear; noise and music need none, since `voicefit predict --reject` tells them"
        )


def _nothing_to_train(configured: ConfiguredMethod[Any], begin: Start) -> Iterator[str]:
    if configured.method.trains_encoder and not begin.encoder.trained_layers():
        yield (
            f"every layer of {begin.source} is frozen, so that method {configured.name} has trained little but the "
            "classifier; another start, or method prior, may do better"
        )


def _choose_method(name: str, settings: Mapping[str, Any] | None, has_unlabelled: bool) -> ConfiguredMethod[Any]:
    chosen = find_method(name)
    if chosen.needs_validation:
        raise VoicefitError(f"method {name} needs clips to validate on besides the shots; take another")
    if has_unlabelled and not chosen.uses_unlabelled:
        raise VoicefitError(f"method {name} learns nothing from unlabelled clips; method joint does")
    try:
        return chosen.configured(**(settings or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        raise VoicefitError(f"settings of {name}: {fault['loc'][0]}: {fault['msg']}") from error


def _load_voice(clips: str | Path, channel: int | None = None) -> Corpus:
    """A folder or a table of clips; clips of several speakers are refused, and those without a label left out."""
    corpus = load_clips(clips, channel=channel)
    for clip in corpus.clips:
        if clip.label is None:
            corpus.account.leave_out(clip.id, "it has no label")
    if not corpus.labels:
        raise VoicefitError(f"{clips}: no clip has a label")
    corpus = corpus.select(lambda clip: clip.label is not None)
    if len(corpus.speakers) > 1:
        first, second, *_ = corpus.speakers
        raise VoicefitError(
            f"{clips}: holds clips of several speakers ({first}, {second} …); a model is of one: give the folder of one"
        )
    return corpus


def _open_repeatable(source: str | Path) -> Start:
    """Open a start; one that a saved model cannot repeat is refused."""
    start = open_start(source)
    if start.front_end.pad_first or not start.front_end.resample:
        raise VoicefitError(
            f"{source}: was pre-finetuned with quirks of the published code (pad_first, resample) that a saved model "
            "cannot repeat; pre-finetune without them"
        )
    return start


def _on_first_device(start: Start) -> "Encoder":
    from voicefit.system.machine import devices

    return start.to(devices()[0]).encoder
