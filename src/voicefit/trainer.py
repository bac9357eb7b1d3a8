"""The loop of pre-finetuning: an encoder and a linear head per corpus, epoch by epoch, resumable to the same bits.

Chen & Yu (2023), section 3: a shared encoder, per-corpus heads, a loss scaled by the logarithm of the number
of classes as in Aghajanyan et al. (2021), "Muppet", section 3.1.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score
from torch import Tensor, nn

from voicefit import checkpoint
from voicefit.batches import CorpusSplit, epoch_batches, seeded_generator, speaker_batches
from voicefit.corpora import Clip
from voicefit.encoders import Encoder, FrontCache
from voicefit.errors import VoicefitError
from voicefit.heads import CorpusHeads
from voicefit.objectives import make_objective
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
            speakers = [_speaker(split.name, clip) for split in splits for clip in split.train]
            self.objective = make_objective(settings, encoder.projector.out_features, speakers)
        self.heads.to(encoder.device)
        if self.objective is not None:
            self.objective.to(encoder.device)
        self.targets = {split.name: {label: i for i, label in enumerate(split.labels)} for split in splits}
        self.optimizer = self._make_optimizer()
        self.steps_per_epoch = math.ceil(sum(self.sizes.values()) / settings.batch_size)
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}

    def _make_optimizer(self) -> torch.optim.Optimizer:
        body = [p for p in self.encoder.parameters() if p.requires_grad] if self.settings.train_encoder else []
        heads = list(self.heads.parameters()) if self.settings.train_heads else []
        heads += list(self.objective.parameters()) if self.objective is not None else []
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

    def losses(self, batch: Mapping[str, np.ndarray]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Cross-entropy of each corpus's clips in ``batch`` by its own head, in one pass of the encoder.

        And what the settings' ``objective`` says of the same pass, if it asks for more than labels.
        """
        clips = {
            split.name: [split.train[i] for i in batch[split.name]] for split in self.splits if split.name in batch
        }
        frames = [self.cache.frames(clip) for part in clips.values() for clip in part]
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

    def run_epoch(self, progress: Progress) -> None:
        """Train for one epoch, validate, and keep the weights if they are the best so far."""
        epoch, began = len(self.history), time.monotonic()
        torch.manual_seed(seeded_generator(self.seed, "dropout", str(epoch)).integers(2**63))
        self.encoder.train()
        totals: dict[str, list[float]] = {"": [], **{split.name: [] for split in self.splits}}
        for index, batch in enumerate(self._batches(epoch)):
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * self.lr_factor(epoch * self.steps_per_epoch + index)
            losses, more = self.losses(batch)
            loss = multi_corpus_loss(losses, self.heads.labels, self.settings.loss_scaling)
            if more is not None:
                loss = loss + self.settings.objective_weight * more
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
            frames = (self.cache.frames(clip) for clip in split.validation)
            pooled = self.encoder.pool(frames, self.settings.precision)
            predicted = self.heads(self.encoder.projector(pooled), split.name).argmax(1).tolist()
            truth = self._target(split.name, split.validation).tolist()
            scores[split.name] = float(f1_score(truth, predicted, average="macro", zero_division=0))
            right += [a == b for a, b in zip(truth, predicted, strict=True)]
        return scores, float(np.mean(right))

    def _weights(self) -> dict[str, Tensor]:
        own = {name: p.detach().clone() for name, p in self._own_parameters().items()}
        return own | {f"encoder.{name}": p for name, p in self.encoder.trainable_state().items()}

    def _own_parameters(self) -> dict[str, nn.Parameter]:
        parameters = {f"heads.{name}": p for name, p in self.heads.named_parameters()}
        if self.objective is not None:
            parameters |= {f"objective.{name}": p for name, p in self.objective.named_parameters()}
        return parameters

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Put back weights that were kept, in place."""
        parameters = self._own_parameters()
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


def _speaker(corpus: str, clip: Clip) -> str:
    return f"{corpus}/{clip.speaker}"
