"""The calls that a notebook needs: strings and paths in, models and predictions out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from voicefit.adaptation import ConfiguredMethod, Shots, find_method
from voicefit.adaptation.copies import groups_of
from voicefit.adaptation.leave_one_out import LeaveOneOut, leave_one_out
from voicefit.adaptation.suggestion import suggest as choose_recordings
from voicefit.audio import RECORDING_SUFFIXES, AudioError, find_audio, load_waveform
from voicefit.checkpoints import checkpoint
from voicefit.checkpoints.start import Start, open_start
from voicefit.corpora import Clip, Corpus, load_corpus
from voicefit.corpora.advice import advice
from voicefit.corpora.check import check_corpus
from voicefit.corpora.corpus import to_vocabulary
from voicefit.corpora.layout import audio_files
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.linear import Head
from voicefit.prediction.model import Model, load_model, reason_of
from voicefit.prefinetuning.prefinetune import Run
from voicefit.prefinetuning.prefinetune import prefinetune as _prefinetune
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.system.distributed import joined
from voicefit.system.files import require_absent
from voicefit.system.hub import MINI
from voicefit.system.machine import devices
from voicefit.system.progress import Progress, silent


def prefinetune(
    encoder: str | Path,
    corpora: Mapping[str, str | Path],
    out: str | Path,
    *,
    protocol: str = "clean",
    reading: Reading | None = None,
    settings: PrefinetuneSettings | None = None,
    run: Run | None = None,
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
    with joined() as processes:
        require_absent(Path(out))
        loaded = [load_corpus(name, path) for name, path in corpora.items()]
        return _prefinetune(
            load_encoder(encoder, reading).to(processes.device),
            loaded,
            Path(out),
            source=str(encoder),
            protocol=protocol,
            settings=settings,
            run=replace(run or Run(), processes=processes),
        )


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
    seed: int = 0,
    progress: Progress = silent,
) -> Adapted:
    """Fit a model to one voice and write it to ``out``, a `transformers` directory.

    Args:
        start: directory or hub id of a pre-finetuned checkpoint or a plain encoder.
        clips: a folder with a folder of audio files per label.
        out: the directory to write.
        method: any of :data:`voicefit.adaptation.METHODS` but ``published``; left out, ``prior`` from a pre-finetuned
            checkpoint, ``joint`` if there are unlabelled clips as well, and ``head`` from a plain encoder.
        settings: what differs from the method's default settings.
        unlabelled: a file or folder with more clips of the voice, for ``joint``, ``prior`` and ``zero-shot``.
        seed: fixes what the method draws at random.
        progress: reports every clip.

    Raises:
        VoicefitError: ``out`` exists, the start cannot be loaded, ``clips`` are of several speakers, fewer than two
            labels have a usable clip, or the method or a setting of it is unknown.
    """
    require_absent(Path(out))
    choose = partial(_choose_method, settings=settings, has_unlabelled=unlabelled is not None)
    named = choose(method) if method else None  # a wrong call is refused before anything is loaded
    corpus = _load_voice(clips)
    begin = _open_repeatable(start)
    encoder = begin.encoder
    chosen = named or choose(_default_method(begin, unlabelled is not None))
    report = check_corpus(corpus, lambda done, total: progress("checking clips", done, total))
    usable, frames, left_out = _read_clips(encoder, corpus.clips, progress)
    if not usable:
        raise VoicefitError(f"{clips}: holds no clip that can be used ({_first_reason(left_out)})")
    with_clips = {str(clip.label) for clip in usable}
    taught = _taught_by_corpora(chosen, begin) & (_named_labels(corpus) - with_clips)
    labels = sorted(with_clips | taught)
    if len(labels) < 2:
        raise VoicefitError(f"{clips}: {len(labels)} label has clips that can be used; at least two are needed")
    targets = torch.tensor([labels.index(str(clip.label)) for clip in usable], device=encoder.device)
    shots = Shots(
        encoder.pool(frames),
        frames,
        targets,
        len(labels),
        labels=tuple(labels),
        prior=begin.prior,
        partial=bool(taught),
    )
    if unlabelled is not None:
        pooled, more_left_out = _pool_recordings(encoder, unlabelled, corpus.clips, progress)[1:]
        shots, left_out = replace(shots, unlabelled=pooled), left_out | more_left_out
    digests = {clip.clip_id: clip.digest for clip in report.clips}
    how_sure = leave_one_out(
        chosen, encoder, shots, seed, groups_of([digests.get(clip.id, clip.id) for clip in usable])
    )
    progress(f"adapting ({chosen.name})", 0, 1)
    head = chosen.fit(encoder, shots, seed)
    progress(f"adapting ({chosen.name})", 1, 1)
    counts = dict(sorted(Counter(str(clip.label) for clip in usable).items()))
    record = {
        "source": begin.source,
        "method": chosen.name,
        "seed": seed,
        "front_end": encoder.front_end.model_dump(),
        "shots": counts,
        "unlabelled": len(shots.unlabelled),
        "left_out": left_out,
        "leave_one_out": how_sure.to_json() if how_sure else None,
        "corpora": begin.record.get("corpora", []),
    }
    kept = None if chosen.method.trains_encoder else begin.prior
    checkpoint.save_adapted(encoder, head, labels, Path(out), record, kept)
    return Adapted(
        model=load_model(out),
        method=chosen.name,
        shots=counts,
        left_out=left_out,
        advice=advice(report, encoder.front_end.max_seconds),
        leave_one_out=how_sure,
        remarks=(
            *_labels_without_clips(_named_labels(corpus) - with_clips, taught),
            *_nothing_to_train(chosen, encoder, start),
            *_found_in_recordings(head, labels, shots.unlabelled),
        ),
    )


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
        the recordings, the most useful first; and clip → why it was not used.

    Raises:
        VoicefitError: the start knows no labels, there are fewer than two labels, or no recording can be used.
    """
    begin = _open_repeatable(start)
    if begin.prior is None:
        raise VoicefitError(f"{start}: is a plain encoder, which knows no labels; give a pre-finetuned checkpoint")
    labels, clips = _labels_and_clips(labelled) if labelled is not None else (list(begin.prior.labels), [])
    usable, frames, left_out = _read_clips(begin.encoder, clips, progress)
    files, pooled, more_left_out = _pool_recordings(begin.encoder, recordings, clips, progress)
    size, device = begin.encoder.hidden_size, begin.encoder.device
    shots = Shots(
        begin.encoder.pool(frames) if frames else torch.empty(0, size, device=device),
        frames,
        torch.tensor([labels.index(str(clip.label)) for clip in usable], dtype=torch.long, device=device),
        len(labels),
        labels=tuple(labels),
        unlabelled=pooled,
        prior=begin.prior,
        partial=True,
    )
    rows, chances = choose_recordings(shots, count)
    best = chances.argmax(axis=1)
    found = [Suggestion(files[row], labels[best[row]], float(chances[row, best[row]])) for row in rows]
    return found, left_out | more_left_out


def _labels_and_clips(folder: str | Path) -> tuple[list[str], list[Clip]]:
    """The names of a folder's folders, in the vocabulary, and the clips in them."""
    root = Path(folder)
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds <label>/<audio file>")
    if audio_files(root, "**/*", RECORDING_SUFFIXES):
        corpus = _load_voice(root)
        labels, clips = _named_labels(corpus), list(corpus.clips)
    else:
        labels, clips = _folder_labels(root), []
    if len(labels) < 2:
        raise VoicefitError(f"{root}: names {len(labels)} label; make a folder, empty if need be, for each")
    return sorted(labels), clips


def _pool_recordings(
    encoder: Encoder, recordings: str | Path, labelled: Sequence[Clip], progress: Progress
) -> tuple[list[str], torch.Tensor, dict[str, str]]:
    """Recordings without a label: files, pooled vectors ``(clips, hidden_size)``, and file → why it is not used."""
    taken = {clip.path.resolve() for clip in labelled}
    files = [path for path in find_audio([Path(recordings)]) if path.resolve() not in taken]
    if not files:
        raise VoicefitError(f"{recordings}: every recording there has a label already")
    clips, frames, left_out = _read_clips(encoder, [Clip(str(path), path, "", None) for path in files], progress)
    if not frames:
        raise VoicefitError(f"{recordings}: holds no clip that can be used ({_first_reason(left_out)})")
    return [clip.id for clip in clips], encoder.pool(frames), left_out


def _first_reason(left_out: Mapping[str, str]) -> str:
    return next((f"{clip}: {reason}" for clip, reason in left_out.items()), "it is empty")


def _default_method(start: Start, has_unlabelled: bool) -> str:
    if start.prior is None:
        return "head"
    return "joint" if has_unlabelled else "prior"


def _found_in_recordings(head: Head, labels: Sequence[str], unlabelled: torch.Tensor) -> Iterator[str]:
    if len(unlabelled):
        counts = torch.bincount(head(unlabelled).argmax(1), minlength=len(labels)).tolist()
        found = ", ".join(f"{count} {label}" for label, count in zip(labels, counts, strict=True))
        recordings = "1 recording" if len(unlabelled) == 1 else f"{len(unlabelled)} recordings"
        yield f"{recordings} without labels took part; as the model has it: {found}"


def _named_labels(corpus: Corpus) -> set[str]:
    """The labels of a voice's clips, and those of folders beside theirs that are empty."""
    return _folder_labels(corpus.clips[0].path.parent.parent) | {str(clip.label) for clip in corpus.clips}


def _folder_labels(root: Path) -> set[str]:
    folders = (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {to_vocabulary(path.name) for path in folders} - {""}


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


def _nothing_to_train(configured: ConfiguredMethod[Any], encoder: Encoder, start: str | Path) -> Iterator[str]:
    if configured.method.trains_encoder and not encoder.trained_layers():
        yield (
            f"every layer of {start} is frozen, so that method {configured.name} has trained little but the "
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


def _load_voice(clips: str | Path) -> Corpus:
    """A folder of clips; one that has a folder for each of several speakers is refused."""
    corpus = load_corpus("folder", clips)
    if len(corpus.speakers) > 1:
        first, second, *_ = corpus.speakers
        raise VoicefitError(
            f"{clips}: holds clips of several speakers ({first}, {second} …); a model is of one: give the folder of one"
        )
    return corpus


def _open_repeatable(source: str | Path) -> Start:
    """Open a start on the first device; one that a saved model cannot repeat is refused."""
    start = open_start(source).to(devices()[0])
    front_end = start.encoder.front_end
    if front_end.pad_first or not front_end.resample:
        raise VoicefitError(
            f"{source}: was pre-finetuned with quirks of the published code (pad_first, resample) that a saved model "
            "cannot repeat; pre-finetune without them"
        )
    return start


def _read_clips(
    encoder: Encoder, clips: Sequence[Clip], progress: Progress
) -> tuple[list[Clip], list[torch.Tensor], dict[str, str]]:
    usable, frames, left_out = [], [], {}
    for index, clip in enumerate(clips, 1):
        try:
            frames.append(encoder.front(load_waveform(clip.path, clip.start, clip.end)))
            usable.append(clip)
        except AudioError as error:
            left_out[clip.id] = f"{error.kind}: {reason_of(error, clip.path)}"
        progress("reading clips", index, len(clips))
    return usable, frames, left_out
