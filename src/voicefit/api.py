"""The calls that a notebook needs: strings and paths in, models and predictions out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from voicefit.adaptation import Method, Shots, find_method
from voicefit.adaptation.leave_one_out import LeaveOneOut, leave_one_out
from voicefit.audio import AudioError, find_audio, load_waveform
from voicefit.checkpoints import checkpoint
from voicefit.corpora import Clip, Corpus, load_corpus
from voicefit.corpora.advice import advice
from voicefit.corpora.check import check_corpus
from voicefit.encoders import Encoder, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.linear import Head
from voicefit.prediction.model import Model, load_model, reason_of
from voicefit.prefinetuning.prefinetune import prefinetune as _prefinetune
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.system.distributed import joined
from voicefit.system.files import require_absent
from voicefit.system.machine import devices
from voicefit.system.progress import Notify, Progress, silent


def prefinetune(
    encoder: str | Path,
    corpora: Mapping[str, str | Path],
    out: str | Path,
    *,
    protocol: str = "clean",
    depth: int | None = None,
    frozen_layers: int = 0,
    weighted_layers: bool = False,
    settings: PrefinetuneSettings | None = None,
    seed: int = 0,
    resume: bool = False,
    save_every: float = 30.0,
    progress: Progress = silent,
    notify: Notify = silent,
) -> Path:
    """Pre-finetune an encoder on corpora and write a checkpoint; see :mod:`voicefit.prefinetuning`.

    Each process that `torchrun` has started takes a share of the work (:mod:`voicefit.system.distributed`).

    Args:
        encoder: hub id or directory of a pretrained encoder.
        corpora: name → path; a name that the registry knows stands for that layout.
        out: the checkpoint directory to write.
        depth: transformer layers to keep; all of them if left out.
        frozen_layers: how many of them stay as they are.
        protocol: ``clean`` or ``paper``; it sets the default settings.
        weighted_layers: read all of them at once, in a weighted mean that is learnt with the heads.
        settings: the settings of training; ``None`` takes the protocol's.
        seed: fixes all that is drawn at random.
        resume: continue an unfinished run if there is one.
        save_every: the minutes between saves within an epoch.
        progress: reports every clip and every step.
        notify: reports the size of the front-end cache.

    Raises:
        VoicefitError: whatever is wrong with the encoder, a corpus or ``out``.
    """
    with joined() as processes:
        require_absent(Path(out))
        loaded = [load_corpus(name, path) for name, path in corpora.items()]
        return _prefinetune(
            load_encoder(encoder, depth=depth, frozen_layers=frozen_layers, weighted_layers=weighted_layers).to(
                processes.device
            ),
            loaded,
            Path(out),
            source=str(encoder),
            protocol=protocol,
            settings=settings,
            seed=seed,
            resume=resume,
            save_every=save_every,
            processes=processes,
            progress=progress,
            notify=notify,
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
        sure: what the model said of each clip when that one was left out; ``None`` where this says nothing, see
            :func:`voicefit.adaptation.leave_one_out.leave_one_out`.
        remarks: what else is not as one would expect, a sentence each.
    """

    model: Model
    method: str
    shots: dict[str, int]
    left_out: dict[str, str]
    advice: dict[str, str]
    sure: LeaveOneOut | None
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
            checkpoint and ``head`` from a plain encoder.
        settings: what differs from the method's default settings.
        unlabelled: a file or folder with more clips of the voice, for ``prior`` and ``zero-shot``.
        seed: fixes what the method draws at random.
        progress: reports every clip.

    Raises:
        VoicefitError: ``out`` exists, the start cannot be loaded, ``clips`` are of several speakers, fewer than two
            labels have a usable clip, or the method or a setting of it is unknown.
    """
    require_absent(Path(out))
    prior = checkpoint.read_prior(start)
    chosen = _choose_method(method or ("prior" if prior else "head"), settings, unlabelled is not None)
    corpus = _load_voice(clips)
    encoder = _load_repeatable(start)
    report = check_corpus(corpus, lambda done, total: progress("checking clips", done, total))
    told = advice(report, encoder.front_end.max_seconds)
    usable, frames, left_out = _read_clips(encoder, corpus.clips, progress)
    labels = sorted({str(clip.label) for clip in usable})
    if len(labels) < 2:
        raise VoicefitError(f"{clips}: {len(labels)} label has clips that can be used; at least two are needed")
    targets = torch.tensor([labels.index(str(clip.label)) for clip in usable], device=encoder.device)
    shots = Shots(encoder.pool(frames), frames, targets, len(labels), labels=tuple(labels), prior=prior)
    if unlabelled is not None:
        more = [Clip(str(path), path, "", None) for path in find_audio([Path(unlabelled)])]
        _, more_frames, more_left_out = _read_clips(encoder, more, progress)
        if not more_frames:
            raise VoicefitError(f"{unlabelled}: holds no clip that can be used")
        shots, left_out = replace(shots, unlabelled=encoder.pool(more_frames)), left_out | more_left_out
    sure = leave_one_out(chosen, encoder, shots, seed)
    progress(f"adapting ({chosen.name})", 0, 1)
    head: Head = chosen.module.fit(encoder, shots, chosen.settings, seed)
    progress(f"adapting ({chosen.name})", 1, 1)
    counts = dict(sorted(Counter(str(clip.label) for clip in usable).items()))
    record = {
        "source": str(start),
        "method": chosen.name,
        "seed": seed,
        "front_end": encoder.front_end.model_dump(),
        "shots": counts,
        "unlabelled": len(shots.unlabelled),
        "left_out": left_out,
        "leave_one_out": sure and sure.to_json(),
        "corpora": checkpoint.read_record(start).get("corpora", []),
    }
    checkpoint.save_adapted(encoder, head, labels, Path(out), record)
    remarks = (*_lost_labels(corpus, labels), *_nothing_to_train(chosen, encoder, start))
    return Adapted(load_model(out), chosen.name, counts, left_out, told, sure, remarks)


def _lost_labels(corpus: Corpus, labels: Sequence[str]) -> Iterator[str]:
    for label in sorted({str(clip.label) for clip in corpus.clips} - set(labels)):
        yield f"no clip of {label} can be used: the model does not know this label"


def _nothing_to_train(method: Method, encoder: Encoder, start: str | Path) -> Iterator[str]:
    if method.module.TRAINS_ENCODER and not encoder.trained_layers():
        yield (
            f"every layer of {start} is frozen, so that method {method.name} has trained little but the classifier; "
            "another start, or method prior, may do better"
        )


def _choose_method(name: str, settings: Mapping[str, Any] | None, has_unlabelled: bool) -> Method:
    module = find_method(name)
    if module.NEEDS_VALIDATION:
        raise VoicefitError(f"method {name} needs clips to validate on besides the shots; take another")
    if has_unlabelled and "unlabelled" not in module.Settings.model_fields:
        raise VoicefitError(f"method {name} learns nothing from unlabelled clips; method prior does")
    try:
        return Method(name, module.Settings(**(settings or {})))
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


def _load_repeatable(start: str | Path) -> Encoder:
    """The start's encoder; one that a saved model cannot repeat is refused."""
    encoder = checkpoint.load_start(start).to(devices()[0])
    if encoder.front_end.pad_first or not encoder.front_end.resample:
        raise VoicefitError(
            f"{start}: was pre-finetuned with quirks of the published code (pad_first, resample) that a saved model "
            "cannot repeat; pre-finetune without them"
        )
    return encoder


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
