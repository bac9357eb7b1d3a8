"""Stage 1: fine-tune one encoder on several corpora at once, with a linear head per corpus.

Chen & Yu (2023), section 3: a shared encoder, per-corpus heads, a loss scaled by the logarithm of the number
of classes as in Aghajanyan et al. (2021), "Muppet", section 3.1. Here every head is trained, and validation
speakers are never trained on.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from voicefit.checkpoints import checkpoint
from voicefit.corpora import Clip, Corpus
from voicefit.corpora.left_out import told_of_corpus
from voicefit.corpora.same_audio import corpus_audio
from voicefit.encoders import Encoder, FrontCache
from voicefit.errors import VoicefitError
from voicefit.heads.discriminants import discriminant_projector
from voicefit.heads.learn_prior import learn_prior
from voicefit.prefinetuning.batches import (
    CorpusSplit,
    limit_clips,
    split_by_clip,
    split_by_speaker,
)
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.prefinetuning.trainer import Trainer
from voicefit.system.distributed import ALONE, Processes
from voicefit.system.files import require_absent, write_json
from voicefit.system.progress import Notify, Progress, silent

_AUDIO = "audio.json"
"""The file of an unfinished run that says what audio it was begun with: corpus → digest."""


@dataclass(frozen=True)
class Run:
    """How a pre-finetuning is carried out.

    Attributes:
        seed: fixes validation speakers, heads, batches and dropout.
        resume: continue an unfinished run if there is one.
        save_every: minutes between saves within an epoch; the end of an epoch is saved in any case.
        cache_root: the front-end cache; ``None`` is the user's cache folder.
        memory_share: how many such runs share this machine's memory at once.
        processes: those that train together; the first alone writes, and reports progress.
        progress: called for every clip cached and every step.
        notify: called with a line on what the front-end cache will take, unless all is there.
    """

    seed: int = 0
    resume: bool = False
    save_every: float = 30.0
    cache_root: Path | None = None
    memory_share: int = 1
    processes: Processes = ALONE
    progress: Progress = silent
    notify: Notify = silent


def prefinetune(
    encoder: Encoder,
    corpora: Sequence[Corpus],
    out: Path,
    *,
    source: str,
    protocol: str = "clean",
    settings: PrefinetuneSettings | None = None,
    start_key: str = "",
    run: Run | None = None,
) -> Path:
    """Pre-finetune ``encoder`` on ``corpora`` and write the checkpoint of the best epoch to ``out``.

    A run that is stopped leaves ``OUT.unfinished`` beside ``out``; with ``resume`` it continues from where it was last
    saved, to the weights that it would have reached without the stop. Several processes that call this with the same
    arguments share every batch; they reach what one would reach within rounding, dropout aside.

    Args:
        encoder: trained in place; its weights afterwards are those of the best epoch.
        corpora: at least one; different names without ``/`` and ``+``.
        out: the directory to write; `transformers` loads it unchanged.
        source: where the encoder came from, for the record.
        protocol: ``clean`` or ``paper``, recorded, and the settings' defaults.
        settings: ``None`` takes the protocol's.
        start_key: a sweep's digest of what the starting point is made of, for the record.
        run: how it is carried out; ``None`` takes the defaults.

    Raises:
        VoicefitError: ``out`` exists, an unfinished run exists and ``resume`` is false, a corpus cannot be used, the
            disk has no room for the front-end cache, the settings' objective is one for a single process, or another
            process has ended.
    """
    require_absent(out)
    _check_names([corpus.name for corpus in corpora])
    settings, run = settings or PrefinetuneSettings.for_protocol(protocol), run or Run()
    processes, progress, notify = run.processes, run.progress, run.notify
    _check_objective(settings, processes)
    unfinished = out.with_name(out.name + ".unfinished")
    if unfinished.exists() and not run.resume:
        raise VoicefitError(f"{unfinished}: an unfinished run; continue it with --resume, or remove it")
    if not processes.is_rank_zero:
        progress = notify = silent
    cache = FrontCache(encoder, run.cache_root, run.memory_share * processes.local_count)
    usable, left_out = cache_corpora(cache, corpora, progress, notify, processes)
    for corpus in corpora:
        for words in told_of_corpus(corpus.name, left_out[corpus.name], corpus.account):
            notify(words)
    splits = split_clips(usable, settings, run.seed)
    for split in splits:
        for words in told_of_single_clips(split):
            notify(words)
    identity = _identity(encoder, splits, settings, run.seed)
    processes.require_same(identity, "encoder, clips and settings")
    audio = {corpus.name: corpus_audio(corpus) for corpus in usable}
    _check_audio(unfinished, audio)
    with torch.random.fork_rng(devices=[]):
        _begin_projector(encoder, splits, cache, settings, run.seed, processes.is_rank_zero)
        trainer = Trainer(encoder, splits, cache, settings, run.seed, processes)
        _train(trainer, unfinished, identity, audio, run.save_every, progress)
    if processes.is_rank_zero:
        record = {
            "kind": "prefinetuned",
            "source": source,
            "start_key": start_key,
            "protocol": protocol,
            "seed": run.seed,
            "depth": encoder.depth,
            "frozen_layers": encoder.frozen_layers,
            "weighted_layers": bool(encoder.layer_weights),
            "front_end": encoder.front_end.model_dump(),
            "settings": settings.model_dump(),
            "corpora": [_corpus_record(c, s, left_out[c.name]) for c, s in zip(usable, splits, strict=True)],
            "best": trainer.best_epoch,
        }
        prior = learn_prior(*_pool_training_clips(encoder, splits, cache))
        checkpoint.save_prefinetuned(encoder, trainer.heads, prior, out, record, pd.DataFrame(trainer.history))
        _remove(unfinished)
    processes.gather(None)  # nobody leaves before ``out`` is there
    return out


def split_clips(corpora: Sequence[Corpus], settings: PrefinetuneSettings, seed: int) -> list[CorpusSplit]:
    """Training and validation clips of each corpus, as the settings ask for."""
    hold_out = split_by_speaker if settings.validation == "speakers" else split_by_clip
    splits = [hold_out(corpus, settings.validation_share, seed) for corpus in corpora]
    return limit_clips(splits, settings.train_clips, seed) if settings.train_clips else splits


def told_of_single_clips(split: CorpusSplit) -> Iterator[str]:
    """Yield a line on a corpus with one clip of every speaker and label: a prior learns from how such clips differ."""
    if split.train and len({(clip.speaker, clip.label) for clip in split.train}) == len(split.train):
        yield (
            f"{split.name}: no speaker has two clips of one label to train on; prior and joint may do worse than "
            "head with such corpora alone"
        )


def _check_objective(settings: PrefinetuneSettings, processes: Processes) -> None:
    if processes.count > 1 and settings.objective != "labels":
        raise VoicefitError(
            f"objective {settings.objective} compares the clips of a whole batch, which one process has to hold: "
            "start a single process, or take the objective labels"
        )


def _train(
    trainer: Trainer, folder: Path, identity: str, audio: Mapping[str, str], save_every: float, progress: Progress
) -> None:
    """Go on from the state in ``folder``, if there is one, to the end; the trainer then has the best weights."""
    trainer.load_state(folder, identity)
    trainer.processes.require_same((len(trainer.history), trainer.epoch.steps), f"state in {folder}")

    def save() -> None:
        trainer.save_state(folder, identity)
        if trainer.processes.is_rank_zero:
            write_json(folder / _AUDIO, audio)

    while not trainer.finished:
        trainer.run_epoch(progress, _at_most_every(60 * save_every, save))
        save()
    trainer.load_weights(trainer.best)


def _at_most_every(seconds: float, act: Callable[[], None]) -> Callable[[], None]:
    """``act``, but a call that comes sooner than so many seconds after the last act, or after now, does nothing."""
    last = time.monotonic()

    def act_if_due() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            act()
            last = time.monotonic()

    return act_if_due


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that would be ambiguous in the checkpoint's labels and in a sweep's subsets."""
    for name in names:
        if names.count(name) > 1:
            raise VoicefitError(f"corpus {name}: given twice; give every corpus a name of its own")
        if not name or "/" in name or "+" in name:
            raise VoicefitError(f"corpus {name!r}: a name needs at least one letter, and neither / nor +")
    if not names:
        raise VoicefitError("pre-finetuning needs at least one corpus")


def _begin_projector(
    encoder: Encoder,
    splits: Sequence[CorpusSplit],
    cache: FrontCache,
    settings: PrefinetuneSettings,
    seed: int,
    first: bool,
) -> None:
    width = min(settings.projector_width, encoder.hidden_size)
    # One process, whose weights the others take over, reads all clips: where a few small corpora leave directions open,
    # the discriminants would depend on rounding, and so on how the clips are shared out.
    if settings.projector == "discriminant" and first:
        encoder.set_projector(discriminant_projector(*_pool_training_clips(encoder, splits, cache), width))
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder.set_projector(nn.Linear(encoder.hidden_size, width))


def _pool_training_clips(
    encoder: Encoder, splits: Sequence[CorpusSplit], cache: FrontCache
) -> tuple[dict[str, Tensor], dict[str, list[Clip]]]:
    clips = {split.name: split.train for split in splits}
    return {name: encoder.pool(cache.frames(clip) for clip in part) for name, part in clips.items()}, clips


def cache_corpora(
    cache: FrontCache,
    corpora: Sequence[Corpus],
    progress: Progress,
    notify: Notify = silent,
    processes: Processes = ALONE,
    at_once: int = 1,
) -> tuple[list[Corpus], dict[str, dict[str, str]]]:
    """Run the front end over every labelled clip, each process over its share.

    Before, ``notify`` reports the size of the cache. ``at_once`` is that of :meth:`FrontCache.fill`.

    Returns:
        the corpora with only the clips that can be used, and for each corpus the others: clip id → reason.

    Raises:
        VoicefitError: the disk has no room for the cache, or files of a corpus vanished or came while it was read.
    """
    labelled = [corpus.select(lambda clip: clip.label is not None) for corpus in corpora]
    total = sum(len(corpus.clips) for corpus in labelled)
    clips = chain.from_iterable(corpus.clips for corpus in labelled)
    plan = cache.plan(clips, _counter(progress, "looking in the front-end cache", total))
    plan.check()
    if plan.clips:
        notify(plan.words())
    usable, left_out = [], {}
    for corpus, part in zip(corpora, labelled, strict=True):
        mine = processes.share(part.clips)
        filled = cache.fill(mine, _counter(progress, f"front end on {corpus.name}", len(mine)), at_once)
        broken = {name: why for found in processes.gather(filled) for name, why in found.items()}
        _refuse_vanished(part, broken)
        unlabelled = {clip.id: "unlabelled" for clip in corpus.clips if clip.label is None}
        left_out[corpus.name] = broken | unlabelled
        usable.append(part.select(lambda clip, broken=broken: clip.id not in broken))  # type: ignore[misc]
    return usable, left_out


def _refuse_vanished(corpus: Corpus, broken: Mapping[str, str]) -> None:
    """Refuse a corpus whose disk was away for a while: what was left out is not what it lacks."""
    is_there = {path: path.is_file() for path in {clip.path for clip in corpus.clips}}
    lacks = {clip.path for clip in corpus.clips if broken.get(clip.id, "").startswith("missing")}
    changed = sorted(path for path, there in is_there.items() if there == (path in lacks))
    if lacks and not corpus.root.exists():
        changed = [corpus.root]
    if changed:
        raise VoicefitError(
            f"corpus {corpus.name}: files vanished or came while they were read, as {changed[0]}; see that they stay "
            "there, and run the same command again"
        )


def _counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    """What tells ``progress`` of one more each time it is called."""
    done = count(1)
    return lambda: progress(what, next(done), total)


def _corpus_record(corpus: Corpus, split: CorpusSplit, left_out: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": corpus.name,
        "title": corpus.info.title,
        "language": corpus.info.language,
        "licence": corpus.info.licence,
        "usage": corpus.info.usage,
        "homepage": corpus.info.homepage,
        "citation": corpus.info.citation,
        "labels": split.labels,
        "train_clips": len(split.train),
        "validation_clips": len(split.validation),
        "validation_speakers": sorted({clip.speaker for clip in split.validation}),
        "audio": corpus_audio(corpus),
        "left_out": dict(left_out),
    }


def _identity(encoder: Encoder, splits: Sequence[CorpusSplit], settings: PrefinetuneSettings, seed: int) -> str:
    """What must be equal for a run to be continued."""
    parts = [encoder.front_key(), str(encoder.depth), settings.model_dump_json(), str(seed)]
    parts += [f"{s.name} {clip.id} {clip.label}" for s in splits for clip in (*s.train, *s.validation)]
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=16)
    for name, tensor in encoder.trainable_state().items():  # encoders may share a front end
        digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _check_audio(folder: Path, audio: Mapping[str, str]) -> None:
    """Refuse to go on with an unfinished run whose audio has changed; one that does not say what it had goes on."""
    path = folder / _AUDIO
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name, now in audio.items():
        if before.get(name, now) != now:
            raise VoicefitError(f"{folder}: was begun when corpus {name} had other audio; remove it to start afresh")


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
