"""The training loop of distillation, resumable after each epoch to the same bits."""

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

_FITTED_WINDOWS = 150
"""The prediction heads begin at what fits so many windows."""

_RIDGE = 1e-3
"""That fit adds so much of the mean square to every dimension: some of Whisper's hardly vary."""


def distillation_loss(predicted: Tensor, target: Tensor, cosine_weight: float) -> Tensor:
    """Compute the mean over frames of the L1 distance minus the weighted log-sigmoid of the cosine (equation 1).

    Args:
        predicted: ``(…, frames, width)``.
        target: of the same shape.
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
        """Return all trained parameters, by name."""
        heads = {f"heads.{name}": parameter for name, parameter in self.heads.named_parameters()}
        return heads | {f"student.{name}": p for name, p in self.student.named_parameters() if p.requires_grad}

    def lr_factor(self, step: int) -> float:
        """Return the share of the peak learning rate at ``step`` of the whole run."""
        total = self.steps_per_epoch * self.settings.epochs
        return warmup_then_decay(step, total, round(self.settings.warmup * total))

    @torch.no_grad()
    def fit_heads(self) -> None:
        """Set the prediction heads by ridge regression on some training windows, which are not degraded."""
        self.student.eval()
        sample = self.training[:: max(1, len(self.training) // _FITTED_WINDOWS)]
        pairs = [self._aligned([self.lessons.read(window, 0)]) for window in sample]
        frames = torch.cat([hidden for hidden, _ in pairs]).cpu().double()
        targets = torch.cat([target for _, target in pairs], dim=1).transpose(0, 1).flatten(1).cpu().double()
        frames = torch.cat([frames, torch.ones(len(frames), 1, dtype=torch.float64)], dim=1)
        squares = frames.T @ frames
        squares.diagonal().add_(_RIDGE * squares.diagonal().mean())
        solution = torch.linalg.solve(squares, frames.T @ targets)
        self.heads.weight.copy_(solution[:-1].T)
        self.heads.bias.copy_(solution[-1])

    def loss(self, batch: Sequence[tuple[np.ndarray, Tensor]]) -> Tensor:
        """Return the mean loss over all frames of windows, each given as a waveform and the teacher's output."""
        frames, targets = self._aligned(batch)
        predictions = self.heads(frames).unflatten(1, (len(self.settings.layers), -1)).transpose(0, 1)
        return distillation_loss(predictions, targets, self.settings.cosine_weight)

    def _aligned(self, batch: Sequence[tuple[np.ndarray, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the student's frames, ``(frames, hidden_size)``, and their targets, ``(layers, frames, width)``."""
        hidden, _ = self.student.hidden(
            [self.student.front(waveform) for waveform, _ in batch], self.settings.precision
        )
        predicted, targets = [], []
        for clip, (_, output) in zip(hidden, batch, strict=True):
            target = self.lessons.targets(output, len(clip)).to(clip)
            targets.append(target)
            predicted.append(clip[: target.shape[1]])
        return torch.cat(predicted), torch.cat(targets, dim=1)

    def run_epoch(self, progress: Progress) -> None:
        """Train on one view of every training window, then compute the loss on the held-out ones."""
        epoch, start = len(self.history), time.monotonic()
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
                "seconds": round(time.monotonic() - start, 2),
            }
        )

    def _batches(self, epoch: int) -> Iterator[list[tuple[np.ndarray, Tensor]]]:
        """Yield windows in random order, of similar length within a batch, read and degraded one batch ahead."""
        draw = seeded_generator(self.seed, "order", str(epoch))
        size = self.settings.batch_size
        order = draw.permutation(len(self.training))
        pools = [order[first : first + 16 * size] for first in range(0, len(order), 16 * size)]
        batches = []
        for pool in pools:
            by_length = sorted(pool, key=lambda i: self.training[i].end - self.training[i].start)
            pool_batches = [by_length[first : first + size] for first in range(0, len(by_length), size)]
            batches += [pool_batches[i] for i in draw.permutation(len(pool_batches))]
        with ThreadPoolExecutor(1) as reader:
            next_batch = reader.submit(self._read, batches[0], epoch)
            for indices in [*batches[1:], []]:
                batch, next_batch = next_batch.result(), reader.submit(self._read, indices, epoch)
                yield batch

    def _read(self, indices: Sequence[int], epoch: int) -> list[tuple[np.ndarray, Tensor]]:
        batch = []
        for index in indices:
            draw = seeded_generator(self.seed, "degrade", str(epoch), str(index))
            waveform, output = self.lessons.read(self.training[index], int(draw.integers(self.settings.views)))
            batch.append((augment.degrade(waveform, draw), output))
        return batch

    @torch.no_grad()
    def validate(self) -> float:
        """Return the mean loss over held-out windows, which are not degraded."""
        self.student.eval()
        return float(np.mean([self.loss([self.lessons.read(window, 0)]).item() for window in self.held_out]))

    def silent_loss(self) -> float:
        """Return the mean loss over held-out windows of predictions that are all zero, as a baseline."""
        losses = []
        for window in self.held_out:
            _, output = self.lessons.read(window, 0)
            target = self.lessons.targets(output, output.shape[1])
            losses.append(distillation_loss(torch.zeros_like(target), target, self.settings.cosine_weight).item())
        return float(np.mean(losses))

    def save_state(self, folder: Path, identity: str) -> None:
        """Write everything that resuming needs; an earlier state stays valid until the new one is complete."""
        tensors = {f"weights/{name}": parameter.detach() for name, parameter in self.parameters().items()}
        save_state(folder, identity, tensors, self.optimizer, history=self.history)

    def load_state(self, folder: Path, identity: str) -> bool:
        """Resume from what :meth:`save_state` wrote, if there is anything; return whether there was.

        Raises:
            VoicefitError: the state belongs to a run with another teacher, student, audio, settings or seed.
        """
        state = load_state(folder, identity, self.optimizer, "teacher, student, audio, settings or seed")
        if state is None:
            return False
        tensors, record = state
        for name, parameter in self.parameters().items():
            parameter.data.copy_(tensors[f"weights/{name}"])
        self.history = record["history"]
        return True
