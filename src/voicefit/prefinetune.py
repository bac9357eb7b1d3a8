"""Stage 1: fine-tune one encoder on several corpora at once, with a linear head per corpus.

Chen & Yu (2023), section 3: a shared encoder, per-corpus heads, a loss scaled by the logarithm of the number
of classes as in Aghajanyan et al. (2021), "Muppet", section 3.1. Here every head is trained, and validation
speakers are never heard in training.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import Tensor, nn

from voicefit import checkpoint
from voicefit.batches import (
    CorpusSplit,
    epoch_batches,
    limit_clips,
    seeded_generator,
    split_by_clip,
    split_by_speaker,
)
from voicefit.corpora import Clip, Corpus
from voicefit.encoders import Encoder, FrontCache
from voicefit.errors import VoicefitError
from voicefit.files import require_absent
from voicefit.heads import CorpusHeads, discriminant_projector
from voicefit.prior import learn_prior
from voicefit.protocols import PrefinetuneSettings

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


def multi_corpus_loss(
    losses: Mapping[str, Tensor], labels: Mapping[str, Sequence[str]], scaling: str = "log_classes"
) -> Tensor:
    """Mean over the corpora of a step of cross-entropy / ln(number of labels): chance costs 1 everywhere.

    With ``scaling`` ``none``, of cross-entropy as it is.
    """
    scales = {corpus: math.log(len(labels[corpus])) if scaling == "log_classes" else 1.0 for corpus in losses}
    return torch.stack([loss / scales[corpus] for corpus, loss in losses.items()]).mean()


class Trainer:
    """The state of a pre-finetuning run: encoder, heads, optimiser, history and the best weights so far.

    Args:
        encoder: trained in place.
        splits: the usable clips by corpus.
        cache: where the front end's outputs are.
        settings: how to train.
        seed: fixes batches, initial heads and dropout.
    """

    def __init__(
        self,
        encoder: Encoder,
        splits: Sequence[CorpusSplit],
        cache: FrontCache,
        settings: PrefinetuneSettings,
        seed: int,
    ):
        self.encoder, self.splits, self.cache, self.settings, self.seed = (
            encoder,
            splits,
            cache,
            settings,
            seed,
        )
        self.sizes = {split.name: len(split.train) for split in splits}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = CorpusHeads({s.name: s.labels for s in splits}, encoder.projector.out_features)
        self.heads.to(encoder.device)
        self.targets = {split.name: {label: i for i, label in enumerate(split.labels)} for split in splits}
        self.optimizer = self._make_optimizer()
        self.steps_per_epoch = math.ceil(sum(self.sizes.values()) / settings.batch_size)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}

    def _make_optimizer(self) -> torch.optim.Optimizer:
        body = [p for p in self.encoder.parameters() if p.requires_grad] if self.settings.train_encoder else []
        heads = list(self.heads.parameters()) if self.settings.train_heads else []
        rates = ((body, self.settings.lr), (heads, self.settings.head_lr))
        groups = [{"params": parameters, "lr": rate, "peak": rate} for parameters, rate in rates if parameters]
        return torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay, fused=True)

    def lr_factor(self, step: int) -> float:
        """Share of the peak learning rate at ``step``: linear warm-up, then linear decay to 0."""
        total = self.steps_per_epoch * self.settings.max_epochs
        warmup = round(self.settings.warmup * total)
        return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)

    @property
    def best_epoch(self) -> dict[str, float]:
        """The row of the history with the best validation score, the earliest of equals."""
        return max(self.history, key=self._score)

    def _score(self, row: Mapping[str, float]) -> float:
        return row["validation_accuracy" if self.settings.criterion == "accuracy" else "validation_mean_macro_f1"]

    @property
    def epochs_since_improvement(self) -> int:
        """How many epochs ago the validation score last rose by more than ``min_improvement``."""
        best, since = -math.inf, 0
        for row in self.history:
            score = self._score(row)
            best, since = (score, 0) if score > best + self.settings.min_improvement else (best, since + 1)
        return since

    @property
    def finished(self) -> bool:
        """Whether the last epoch or the end of patience has been reached."""
        out_of_patience = self.epochs_since_improvement >= self.settings.patience
        return len(self.history) >= self.settings.max_epochs or out_of_patience

    def losses(self, batch: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Cross-entropy of each corpus's clips in ``batch`` by its own head, in one pass of the encoder."""
        clips = {
            split.name: [split.train[i] for i in batch[split.name]] for split in self.splits if split.name in batch
        }
        frames = [self.cache.frames(clip) for part in clips.values() for clip in part]
        projected = self.encoder.projector(self.encoder(frames, self.settings.precision))
        parts = projected.split([len(part) for part in clips.values()])
        return {
            name: nn.functional.cross_entropy(self.heads(part, name), self._target(name, clips[name]))
            for name, part in zip(clips, parts, strict=True)
        }

    def _target(self, corpus: str, clips: Sequence[Clip]) -> Tensor:
        return torch.tensor([self.targets[corpus][clip.label] for clip in clips], device=self.encoder.device)  # type: ignore[index]

    def run_epoch(self, progress: Progress) -> None:
        """Train for one epoch, validate, and keep the weights if they are the best so far."""
        epoch, began = len(self.history), time.monotonic()
        torch.manual_seed(seeded_generator(self.seed, "dropout", str(epoch)).integers(2**63))
        self.encoder.train()
        totals: dict[str, list[float]] = {"": [], **{split.name: [] for split in self.splits}}
        batches = epoch_batches(self.sizes, self.settings.batch_size, self.settings.sampling, self.seed, epoch)
        for index, batch in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * self.lr_factor(epoch * self.steps_per_epoch + index)
            losses = self.losses(batch)
            loss = multi_corpus_loss(losses, self.heads.labels, self.settings.loss_scaling)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)  # before the next forward pass needs the memory
            totals[""].append(loss.item())
            for name, value in losses.items():
                totals[name].append(value.item())
            progress(f"epoch {epoch + 1}/{self.settings.max_epochs}", index + 1, self.steps_per_epoch)
        scores, accuracy = self.validate()
        row = self._row(epoch, totals, scores, time.monotonic() - began)
        self.history.append(row | {"validation_accuracy": accuracy})
        if self.best_epoch is self.history[-1]:
            self.best = self._weights()

    def _row(
        self, epoch: int, totals: Mapping[str, list[float]], scores: Mapping[str, float], seconds: float
    ) -> dict[str, float]:
        row: dict[str, float] = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * self.steps_per_epoch,
            "train_loss": float(np.mean(totals[""])),
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": round(seconds, 2),
            "validation_mean_macro_f1": float(np.mean(list(scores.values()))),
        }
        row |= {f"validation_macro_f1/{name}": score for name, score in scores.items()}
        return row | {
            f"train_loss/{name}": float(np.mean(values)) for name, values in totals.items() if name and values
        }

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], float]:
        """Macro F1 of each corpus's head on that corpus's held-out clips, and the share of all that is right."""
        self.encoder.eval()
        scores: dict[str, float] = {}
        right: list[bool] = []
        for split in self.splits:
            frames = [self.cache.frames(clip) for clip in split.validation]
            pooled = self.encoder.pool(frames, self.settings.precision)
            predicted = self.heads(self.encoder.projector(pooled), split.name).argmax(1).tolist()
            truth = self._target(split.name, split.validation).tolist()
            scores[split.name] = float(f1_score(truth, predicted, average="macro", zero_division=0))
            right += [a == b for a, b in zip(truth, predicted, strict=True)]
        return scores, float(np.mean(right))

    def _weights(self) -> dict[str, Tensor]:
        heads = {f"heads.{name}": p.detach().clone() for name, p in self.heads.named_parameters()}
        return heads | {f"encoder.{name}": p for name, p in self.encoder.trainable_state().items()}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put back weights that were kept, in place."""
        parameters = {f"heads.{name}": p for name, p in self.heads.named_parameters()}
        parameters |= {f"encoder.{name}": p for name, p in self.encoder.named_parameters() if p.requires_grad}
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])

    def save_state(self, folder: Path, identity: str) -> None:
        """Write everything that resuming needs; the epoch before's stays valid until this one is whole."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"now/{name}": tensor for name, tensor in self._weights().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in state.items()}
        metadata = {"identity": identity, "history": json.dumps(self.history)}
        save_file(tensors, folder / "state.part", metadata=metadata)
        os.replace(folder / "state.part", folder / "state.safetensors")

    def load_state(self, folder: Path, identity: str) -> None:
        """Continue from what :meth:`save_state` wrote, if it wrote anything.

        Raises:
            VoicefitError: the state belongs to a run with another encoder, corpora, settings or seed.
        """
        path = folder / "state.safetensors"
        if not path.exists():
            return
        metadata = checkpoint.read_metadata(path)
        if metadata.get("identity") != identity:
            raise VoicefitError(
                f"{folder}: was begun with another encoder, corpora, settings or seed; remove it to start afresh"
            )
        self.history = json.loads(metadata["history"])
        parts: dict[str, dict[str, Tensor]] = {"now": {}, "best": {}, "optimizer": {}}
        for name, tensor in load_file(path).items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.load_weights(parts["now"])
        self.best = parts["best"]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, field = name.split("/")
            state.setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def prefinetune(
    encoder: Encoder,
    corpora: Sequence[Corpus],
    out: Path,
    *,
    source: str,
    protocol: str = "clean",
    settings: PrefinetuneSettings | None = None,
    seed: int = 0,
    cache_root: Path | None = None,
    resume: bool = False,
    start_key: str = "",
    progress: Progress = lambda what, done, total: None,
) -> Path:
    """Pre-finetune ``encoder`` on ``corpora`` and write the checkpoint of the best epoch to ``out``.

    A run that is stopped leaves ``OUT.unfinished`` beside ``out``; with ``resume`` it goes on from its last
    epoch to the weights that it would have reached without the stop.

    Args:
        encoder: trained in place; its weights afterwards are those of the best epoch.
        corpora: at least one; different names without ``/`` and ``+``.
        out: the directory to write; `transformers` loads it unchanged.
        source: where the encoder came from, for the record.
        protocol: ``clean`` or ``paper``, recorded, and the settings' defaults.
        settings: ``None`` takes the protocol's.
        seed: fixes validation speakers, heads, batches and dropout.
        cache_root: the front-end cache; ``None`` is the user's cache folder.
        resume: continue an unfinished run if there is one.
        start_key: a sweep's digest of what the starting point is made of, for the record.
        progress: told of every clip cached and every step.

    Raises:
        VoicefitError: ``out`` exists, an unfinished run exists and ``resume`` is false, or a corpus cannot be
            used.
    """
    require_absent(out)
    _check_names([corpus.name for corpus in corpora])
    settings = settings or PrefinetuneSettings.for_protocol(protocol)
    unfinished = out.with_name(out.name + ".unfinished")
    if unfinished.exists() and not resume:
        raise VoicefitError(f"{unfinished}: an unfinished run; continue it with --resume, or remove it")
    cache = FrontCache(encoder, cache_root)
    usable, left_out = cache_corpora(cache, corpora, progress)
    hold_out = split_by_speaker if settings.validation == "speakers" else split_by_clip
    splits = [hold_out(corpus, settings.validation_share, seed) for corpus in usable]
    if settings.train_clips:
        splits = limit_clips(splits, settings.train_clips, seed)
    identity = _identity(encoder, splits, settings, seed)
    with torch.random.fork_rng(devices=[]):
        _begin_projector(encoder, splits, cache, settings, seed)
        trainer = Trainer(encoder, splits, cache, settings, seed)
        trainer.load_state(unfinished, identity)
        while not trainer.finished:
            trainer.run_epoch(progress)
            trainer.save_state(unfinished, identity)
    trainer.load_weights(trainer.best)
    record = {
        "kind": "prefinetuned",
        "source": source,
        "start_key": start_key,
        "protocol": protocol,
        "seed": seed,
        "depth": encoder.depth,
        "frozen_layers": encoder.frozen_layers,
        "front_end": encoder.front_end.model_dump(),
        "settings": settings.model_dump(),
        "corpora": [_corpus_record(c, s, left_out[c.name]) for c, s in zip(usable, splits, strict=True)],
        "best": trainer.best_epoch,
    }
    prior = learn_prior(*_pool_training_clips(encoder, splits, cache))
    checkpoint.save_prefinetuned(encoder, trainer.heads, prior, out, record, pd.DataFrame(trainer.history))
    _remove(unfinished)
    return out


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that could not be told apart in the checkpoint's labels and in a sweep's subsets."""
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
) -> None:
    width = min(settings.projector_width, encoder.hidden_size)
    if settings.projector == "discriminant":
        encoder.set_projector(discriminant_projector(*_pool_training_clips(encoder, splits, cache), width))
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder.set_projector(nn.Linear(encoder.hidden_size, width))


def _pool_training_clips(
    encoder: Encoder, splits: Sequence[CorpusSplit], cache: FrontCache
) -> tuple[dict[str, Tensor], dict[str, list[Clip]]]:
    clips = {split.name: split.train for split in splits}
    return {name: encoder.pool([cache.frames(clip) for clip in part]) for name, part in clips.items()}, clips


def cache_corpora(
    cache: FrontCache, corpora: Sequence[Corpus], progress: Progress
) -> tuple[list[Corpus], dict[str, dict[str, str]]]:
    """Run the front end over every labelled clip.

    Returns:
        the corpora with only the clips that can be used, and for each corpus the others: clip id → reason.
    """
    usable, left_out = [], {}
    for corpus in corpora:
        labelled = corpus.select(lambda clip: clip.label is not None)
        total, done = len(labelled.clips), iter(range(1, len(labelled.clips) + 1))

        def tell(name: str = corpus.name, done: Iterator[int] = done, total: int = total) -> None:
            progress(f"front end on {name}", next(done), total)

        broken = cache.fill(labelled.clips, tell)
        unlabelled = {clip.id: "unlabelled" for clip in corpus.clips if clip.label is None}
        left_out[corpus.name] = broken | unlabelled
        usable.append(labelled.select(lambda clip, broken=broken: clip.id not in broken))  # type: ignore[misc]
    return usable, left_out


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


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
