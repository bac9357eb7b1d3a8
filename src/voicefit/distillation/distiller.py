"""The loop of distillation, epoch by epoch, resumable to the same bits."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.distillation import augment
from voicefit.distillation.lessons import DistillSettings, Lessons, Window
from voicefit.encoders import Encoder
from voicefit.system.progress import Progress
from voicefit.training import load_state, save_state, seeded_generator, warmup_then_decay


def distillation_loss(predicted: Tensor, target: Tensor, cosine_weight: float) -> Tensor:
    """L1 distance over dimensions minus the weighted log-sigmoid of the cosine, mean over frames (equation 1).

    Args:
        predicted, target: ``(…, frames, width)``.
        cosine_weight: λ of the equation.
    """
    distance = (predicted - target).abs().mean(-1)
    cosine = nn.functional.cosine_similarity(predicted, target, dim=-1)
    return (distance - cosine_weight * nn.functional.logsigmoid(cosine)).mean()


class Distiller:
    """The state of a distillation: student, prediction heads, optimiser and history."""

    def __init__(
        self,
        student: Encoder,
        lessons: Lessons,
        training: Sequence[Window],
        held_out: Sequence[Window],
        settings: DistillSettings,
        seed: int,
    ):
        self.student, self.lessons, self.settings, self.seed = student, lessons, settings, seed
        self.training, self.held_out = training, held_out
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.Linear(student.hidden_size, len(settings.layers) * lessons.width).to(student.device)
        self.optimizer = torch.optim.AdamW(
            list(self.parameters().values()), lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        self.steps_per_epoch = math.ceil(len(training) / settings.batch_size)
        self.history: list[dict[str, float]] = []

    def parameters(self) -> dict[str, nn.Parameter]:
        """Everything that is trained, by name."""
        own = {f"heads.{name}": parameter for name, parameter in self.heads.named_parameters()}
        return own | {f"student.{name}": p for name, p in self.student.named_parameters() if p.requires_grad}

    def lr_factor(self, step: int) -> float:
        """Share of the peak learning rate at ``step`` of the whole run."""
        total = self.steps_per_epoch * self.settings.epochs
        return warmup_then_decay(step, total, round(self.settings.warmup * total))

    def loss(self, batch: Sequence[tuple[np.ndarray, Tensor]]) -> Tensor:
        """The mean loss over all frames of windows, each given as what the student hears and what the teacher said."""
        hidden, _ = self.student.hidden(
            [self.student.front(waveform) for waveform, _ in batch], self.settings.precision
        )
        predicted, targets = [], []
        for clip, (_, said) in zip(hidden, batch, strict=True):
            target = self.lessons.targets(said, len(clip)).to(clip)
            targets.append(target)
            predicted.append(clip[: target.shape[1]])
        said_by_student = self.heads(torch.cat(predicted)).unflatten(1, (len(self.settings.layers), -1)).transpose(0, 1)
        return distillation_loss(said_by_student, torch.cat(targets, dim=1), self.settings.cosine_weight)

    def run_epoch(self, progress: Progress) -> None:
        """Hear one copy of every training window, then measure on the held-out ones."""
        epoch, began = len(self.history), time.monotonic()
        torch.manual_seed(seeded_generator(self.seed, "dropout", str(epoch)).integers(2**63))
        self.student.train()
        losses = []
        for index, batch in enumerate(self._batches(epoch)):
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.lr * self.lr_factor(epoch * self.steps_per_epoch + index)
            loss = self.loss(batch)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters().values(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            progress(f"epoch {epoch + 1}/{self.settings.epochs}", index + 1, self.steps_per_epoch)
        self.history.append(
            {
                "epoch": epoch + 1,
                "step": (epoch + 1) * self.steps_per_epoch,
                "train_loss": float(np.mean(losses)),
                "held_out_loss": self.validate(),
                "seconds": round(time.monotonic() - began, 2),
            }
        )

    def _batches(self, epoch: int) -> Iterator[list[tuple[np.ndarray, Tensor]]]:
        """Windows in random order, of similar length within a batch, read and degraded one batch ahead."""
        draw = seeded_generator(self.seed, "order", str(epoch))
        size = self.settings.batch_size
        order = draw.permutation(len(self.training))
        pools = [order[first : first + 16 * size] for first in range(0, len(order), 16 * size)]
        batches = []
        for pool in pools:
            by_length = sorted(pool, key=lambda i: self.training[i].end - self.training[i].start)
            cut = [by_length[first : first + size] for first in range(0, len(by_length), size)]
            batches += [cut[i] for i in draw.permutation(len(cut))]
        with ThreadPoolExecutor(1) as reader:
            ready = reader.submit(self._read, batches[0], epoch)
            for batch in [*batches[1:], []]:
                now, ready = ready.result(), reader.submit(self._read, batch, epoch)
                yield now

    def _read(self, batch: Sequence[int], epoch: int) -> list[tuple[np.ndarray, Tensor]]:
        found = []
        for index in batch:
            draw = seeded_generator(self.seed, "degrade", str(epoch), str(index))
            waveform, said = self.lessons.read(self.training[index], int(draw.integers(self.settings.views)))
            found.append((augment.degrade(waveform, draw), said))
        return found

    @torch.no_grad()
    def validate(self) -> float:
        """The mean loss over held-out windows, as they are."""
        self.student.eval()
        return float(np.mean([self.loss([self.lessons.read(window, 0)]).item() for window in self.held_out]))

    def silent_loss(self) -> float:
        """The mean loss over held-out windows of predictions that are all zero: what there is to gain."""
        losses = []
        for window in self.held_out:
            _, said = self.lessons.read(window, 0)
            target = self.lessons.targets(said, said.shape[1])
            losses.append(distillation_loss(torch.zeros_like(target), target, self.settings.cosine_weight).item())
        return float(np.mean(losses))

    def save_state(self, folder: Path, identity: str) -> None:
        """Write everything that resuming needs; the epoch before's stays valid until this one is whole."""
        tensors = {f"weights/{name}": parameter.detach() for name, parameter in self.parameters().items()}
        save_state(folder, identity, tensors, self.optimizer, history=self.history)

    def load_state(self, folder: Path, identity: str) -> None:
        """Continue from what :meth:`save_state` wrote, if it wrote anything.

        Raises:
            VoicefitError: the state belongs to a run with another teacher, student, audio, settings or seed.
        """
        found = load_state(folder, identity, self.optimizer, "teacher, student, audio, settings or seed")
        if found is None:
            return
        tensors, record = found
        for name, parameter in self.parameters().items():
            parameter.data.copy_(tensors[f"weights/{name}"])
        self.history = record["history"]
