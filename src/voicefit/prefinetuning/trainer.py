"""The training loop of pre-finetuning: an encoder and a linear head per corpus, resumable to the same bits.

Chen & Yu (2023), section 3: a shared encoder, per-corpus heads, a loss scaled by the logarithm of the number
of classes as in Aghajanyan et al. (2021), "Muppet", section 3.1.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.corpora import Clip
from voicefit.encoders import Encoder, FrontCache
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.prefinetuning.batches import CorpusSplit, epoch_batches, speaker_batches
from voicefit.prefinetuning.objectives import make_objective
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.scores import score
from voicefit.system.distributed import ALONE, Processes
from voicefit.system.progress import Progress
from voicefit.training import load_state, save_state, seeded_generator, warmup_then_decay


def multi_corpus_loss(
    losses: Mapping[str, Tensor], labels: Mapping[str, Sequence[str]], scaling: str = "log_classes"
) -> Tensor:
    """Average cross-entropy / ln(number of labels) over the corpora of a step: chance costs 1 in each corpus.

    With the ``scaling`` ``none``, cross-entropy is averaged unscaled.
    """
    scales = {corpus: math.log(len(labels[corpus])) if scaling == "log_classes" else 1.0 for corpus in losses}
    return torch.stack([loss / scales[corpus] for corpus, loss in losses.items()]).mean()


@dataclass
class _Epoch:
    """The progress of an epoch.

    Attributes:
        corpus_losses: the losses of each corpus so far, one for each step that had clips of it.
        total_losses: the minimised loss of each step so far.
        seconds: the time spent on the epoch.
    """

    corpus_losses: dict[str, list[float]]
    total_losses: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, corpora: Iterable[str]) -> "_Epoch":
        return cls({name: [] for name in corpora})

    @property
    def steps(self) -> int:
        return len(self.total_losses)

    def add(self, total: float, losses: Mapping[str, float]) -> None:
        self.total_losses.append(total)
        for name, value in losses.items():
            self.corpus_losses[name].append(value)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a state file, in which ``""`` names the total losses; no corpus has that name."""
        return {"losses": {"": self.total_losses, **self.corpus_losses}, "seconds": self.seconds}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "_Epoch":
        """Read what :meth:`to_json` returned."""
        losses = dict(record["losses"])
        return cls(total_losses=losses.pop(""), corpus_losses=losses, seconds=record["seconds"])


class Trainer:
    """The state of a pre-finetuning run: encoder, heads, optimiser, history and the best weights so far.

    Args:
        encoder: trained in place.
        splits: the usable clips by corpus.
        cache: the cache of the front end's outputs.
        settings: the settings of training.
        seed: fixes batches, initial heads and dropout.
        processes: the processes that train together; weights, history and batches are the same in all.
    """

    def __init__(
        self,
        encoder: Encoder,
        splits: Sequence[CorpusSplit],
        cache: FrontCache,
        settings: PrefinetuneSettings,
        seed: int,
        processes: Processes = ALONE,
    ):
        self.encoder, self.splits, self.cache = encoder, splits, cache
        self.settings, self.seed, self.processes = settings, seed, processes
        self.sizes = {split.name: len(split.train) for split in splits}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = CorpusHeads({s.name: s.labels for s in splits}, encoder.projector.out_features)
            speakers = [_speaker(split.name, clip) for split in splits for clip in split.train]
            self.objective = make_objective(settings, encoder.projector.out_features, speakers)
        self.heads.to(encoder.device)
        if self.objective is not None:
            self.objective.to(encoder.device)
        self.targets = {split.name: {label: i for i, label in enumerate(split.labels)} for split in splits}
        self.optimizer = self._make_optimizer()
        processes.copy_from_rank_zero(self._parameters().values())
        self.steps_per_epoch = math.ceil(sum(self.sizes.values()) / settings.batch_size)
        self.history: list[dict[str, float]] = []
        self.epoch = _Epoch.of(self.sizes)
        self.best: dict[str, Tensor] = {}

    def _make_optimizer(self) -> torch.optim.Optimizer:
        layer_weights = self.encoder.layer_weights  # trained with the heads: they choose what the heads read
        body = [p for p in self.encoder.trainable() if not any(p is w for w in layer_weights)]
        body = body if self.settings.train_encoder else []
        heads = [*self.heads.parameters(), *layer_weights] if self.settings.train_heads else []
        heads += list(self.objective.parameters()) if self.objective is not None else []
        rates = ((body, self.settings.lr), (heads, self.settings.head_lr))
        groups = [{"params": parameters, "lr": rate, "peak": rate} for parameters, rate in rates if parameters]
        return torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay, fused=True)

    def _optimized(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def lr_factor(self, step: int) -> float:
        """Return the share of the peak learning rate at ``step`` of the whole run."""
        total = self.steps_per_epoch * self.settings.max_epochs
        return warmup_then_decay(step, total, round(self.settings.warmup * total))

    @property
    def best_epoch(self) -> dict[str, float]:
        """The row of the history with the best validation score; the earliest of equal ones."""
        return max(self.history, key=self._score)

    def _score(self, row: Mapping[str, float]) -> float:
        return row["validation_accuracy" if self.settings.criterion == "accuracy" else "validation_mean_macro_f1"]

    @property
    def epochs_since_improvement(self) -> int:
        """The number of epochs since the validation score last rose by more than ``min_improvement``."""
        best, since = -math.inf, 0
        for row in self.history:
            score = self._score(row)
            best, since = (score, 0) if score > best + self.settings.min_improvement else (best, since + 1)
        return since

    @property
    def finished(self) -> bool:
        """Whether the last epoch or the limit of patience is reached."""
        out_of_patience = self.epochs_since_improvement >= self.settings.patience
        return len(self.history) >= self.settings.max_epochs or out_of_patience

    def losses(self, batch: Mapping[str, np.ndarray]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Compute the losses of a batch in one pass of the encoder.

        Returns:
            corpus → cross-entropy of its clips in ``batch`` by its own head; and the loss of the settings'
            ``objective``, ``None`` for ``labels``.
        """
        clips = {
            split.name: [split.train[i] for i in batch[split.name]] for split in self.splits if split.name in batch
        }
        frames = [self.cache.frames(clip) for part in clips.values() for clip in part]
        # If the encoder is not trained, a backward pass through it would double the time.
        with torch.set_grad_enabled(self.settings.train_encoder or bool(self.encoder.layer_weights)):
            projected = self.encoder.projector(self.encoder(frames, self.settings.precision))
        parts = projected.split([len(part) for part in clips.values()])
        losses = {
            name: nn.functional.cross_entropy(self.heads(part, name), self._target(name, clips[name]))
            for name, part in zip(clips, parts, strict=True)
        }
        if self.objective is None:
            return losses, None
        labels = [str(clip.label) for part in clips.values() for clip in part]
        speakers = [_speaker(name, clip) for name, part in clips.items() for clip in part]
        return losses, self.objective(projected, labels, speakers)

    def _target(self, corpus: str, clips: Sequence[Clip]) -> Tensor:
        return torch.tensor([self.targets[corpus][clip.label] for clip in clips], device=self.encoder.device)  # type: ignore[index]

    def _batches(self, epoch: int) -> Iterator[dict[str, np.ndarray]]:
        settings = self.settings
        if settings.objective == "episodic":
            speakers = {split.name: [clip.speaker for clip in split.train] for split in self.splits}
            return speaker_batches(speakers, settings.batch_size, settings.sampling, self.seed, epoch)
        return epoch_batches(self.sizes, settings.batch_size, settings.sampling, self.seed, epoch)

    def run_epoch(self, progress: Progress, after_step: Callable[[], None] = lambda: None) -> None:
        """Train to the end of the epoch, validate, and keep the weights if they are the best so far.

        Args:
            progress: reports each step.
            after_step: called after each step, to save the state if it is time.
        """
        number, start = len(self.history), time.monotonic() - self.epoch.seconds
        self.encoder.train()
        for index, batch in islice(enumerate(self._batches(number)), self.epoch.steps, None):
            self._step(batch, number, index)
            self.epoch.seconds = time.monotonic() - start
            after_step()
            progress(f"epoch {number + 1}/{self.settings.max_epochs}", index + 1, self.steps_per_epoch)
        scores, accuracy = self.validate()
        self.epoch.seconds = time.monotonic() - start
        self.history.append(self._row(number, scores) | {"validation_accuracy": accuracy})
        self.epoch = _Epoch.of(self.sizes)
        if self.best_epoch is self.history[-1]:
            self.best = self._weights()

    def _step(self, batch: Mapping[str, np.ndarray], epoch: int, index: int) -> None:
        # Each step has its own seed: a run that resumes within an epoch draws the same dropout as without the stop.
        purpose = ("dropout", str(epoch), str(index), str(self.processes.rank))
        torch.manual_seed(seeded_generator(self.seed, *purpose).integers(2**63))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.lr_factor(epoch * self.steps_per_epoch + index)
        loss, losses = self._share_of_loss(batch)
        if loss.requires_grad:  # not if there are more processes than clips, and this one has none
            loss.backward()
        self.processes.sum_gradients(self._optimized())
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)  # before the next forward pass needs the memory
        values = self.processes.sum(torch.stack([loss, *losses.values()]).detach())
        total, *corpus_losses = values.tolist()
        self.epoch.add(total, dict(zip(losses, corpus_losses, strict=True)))

    def _share_of_loss(self, batch: Mapping[str, np.ndarray]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what this process's clips add to the loss of ``batch``, and to that of each of its corpora."""
        share: dict[str, list[int]] = {}
        for name, clip in self.processes.share([(name, clip) for name, clips in batch.items() for clip in clips]):
            share.setdefault(name, []).append(clip)
        means, objective = (
            self.losses({name: np.array(clips) for name, clips in share.items()}) if share else ({}, None)
        )
        zero = torch.zeros((), device=self.encoder.device)
        losses = {
            name: means[name] * (len(share[name]) / len(clips)) if name in share else zero
            for name, clips in batch.items()
        }
        loss = multi_corpus_loss(losses, self.heads.labels, self.settings.loss_scaling)
        return loss if objective is None else loss + self.settings.objective_weight * objective, losses

    def _row(self, epoch: int, scores: Mapping[str, float]) -> dict[str, float]:
        steps = (epoch + 1) * self.steps_per_epoch
        row: dict[str, float] = {
            "epoch": epoch + 1,
            "step": steps,
            "train_loss": float(np.mean(self.epoch.total_losses)),
            "lr": self.optimizer.param_groups[0]["peak"] * self.lr_factor(steps - 1),
            "seconds": round(self.epoch.seconds, 2),
            "validation_mean_macro_f1": float(np.mean(list(scores.values()))),
        }
        row |= {f"validation_macro_f1/{name}": score for name, score in scores.items()}
        losses = self.epoch.corpus_losses
        return row | {f"train_loss/{name}": float(np.mean(values)) for name, values in losses.items() if values}

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], float]:
        """Return the macro F1 of each corpus's head on its held-out clips, and the accuracy over all held-out clips."""
        self.encoder.eval()
        scores: dict[str, float] = {}
        right: list[bool] = []
        for split in self.splits:
            predicted = self.processes.rows(split.validation, partial(self._predict, split.name)).tolist()
            truth = self._target(split.name, split.validation).tolist()
            scores[split.name] = score(truth, predicted)["macro_f1"]
            right += [a == b for a, b in zip(truth, predicted, strict=True)]
        return scores, float(np.mean(right))

    def _predict(self, corpus: str, clips: Sequence[Clip]) -> Tensor:
        pooled = self.encoder.pool((self.cache.frames(clip) for clip in clips), self.settings.precision)
        return self.heads(self.encoder.projector(pooled), corpus).argmax(1)

    def _weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self._parameters().items()}

    def _parameters(self) -> dict[str, nn.Parameter]:
        parameters = {f"heads.{name}": p for name, p in self.heads.named_parameters()}
        if self.objective is not None:
            parameters |= {f"objective.{name}": p for name, p in self.objective.named_parameters()}
        return parameters | {f"encoder.{name}": p for name, p in self.encoder.named_parameters() if p.requires_grad}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights to earlier ones, in place."""
        with torch.no_grad():
            for name, parameter in self._parameters().items():
                parameter.copy_(weights[name])

    def save_state(self, folder: Path, identity: str) -> None:
        """Write everything that resuming needs; an earlier state stays valid until the new one is complete.

        Of several processes, only rank 0 writes: the others have the same state.
        """
        if not self.processes.is_rank_zero:
            return
        tensors = {f"now/{name}": tensor for name, tensor in self._weights().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best.items()}
        save_state(folder, identity, tensors, self.optimizer, history=self.history, epoch=self.epoch.to_json())

    def load_state(self, folder: Path, identity: str) -> None:
        """Resume from what :meth:`save_state` wrote, if there is anything.

        Raises:
            VoicefitError: the state belongs to a run with another encoder, corpora, settings or seed.
        """
        state = load_state(folder, identity, self.optimizer, "encoder, corpora, settings or seed")
        if state is None:
            return
        tensors, record = state
        parts: dict[str, dict[str, Tensor]] = {"now": {}, "best": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self.load_weights(parts["now"])
        self.best, self.history = parts["best"], record["history"]
        self.epoch = _Epoch.from_json(record["epoch"])


def _speaker(corpus: str, clip: Clip) -> str:
    return f"{corpus}/{clip.speaker}"
