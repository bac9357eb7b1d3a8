"""What a student learns from: windows of recordings, differing copies of them, and what the teacher says of each."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE, UNREADABLE, AudioError, find_audio, load_waveform
from voicefit.distillation import augment
from voicefit.encoders import Encoder, Precision
from voicefit.encoders.cache import default_cache_root
from voicefit.system.files import new_file
from voicefit.system.progress import Progress
from voicefit.training import seeded_generator

WINDOW = 5.0
"""Seconds of the longest piece of a recording that is learnt from at once."""

_SHORTEST = 0.5
_STATISTICS_WINDOWS = 2000


class DistillSettings(BaseModel):
    """How to distill."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: tuple[int, ...] = Field(
        default=(1, 2, 3), min_length=1, description="layers of the teacher, from 1, rising"
    )
    views: int = Field(
        default=2, ge=1, description="copies of each window, differing in speed and gain; one is as it is"
    )
    epochs: int = Field(default=20, ge=1, description="an epoch hears one copy of every window")
    batch_size: int = Field(default=8, ge=1, description="windows a step")
    lr: float = Field(default=2e-3, gt=0, description="peak learning rate")
    warmup: float = Field(
        default=0.05, ge=0, le=1, description="share of all steps before the peak; linear decay after"
    )
    weight_decay: float = Field(default=0.01, ge=0)
    cosine_weight: float = Field(default=1.0, ge=0, description="of the cosine's loss beside the L1 loss")
    held_out: float = Field(default=0.05, gt=0, lt=1, description="share of the recordings that is not learnt from")
    precision: Precision = Field(default="float32", description="of the matrix products of teacher and student")


@dataclass(frozen=True)
class Window:
    """A piece of a recording, from ``start`` to ``end`` seconds."""

    path: Path
    start: float
    end: float


def find_windows(audio: Sequence[Path]) -> tuple[list[Window], dict[str, str]]:
    """Cut recordings in windows of up to :data:`WINDOW` seconds; what is left under half a second is dropped.

    Returns:
        the windows in the order of their paths, and file → reason for those that cannot be read.

    Raises:
        VoicefitError: there is no audio file.
    """
    windows, left_out = [], {}
    for path in find_audio(audio):
        try:
            seconds = soundfile.info(path).duration
        except UNREADABLE as error:
            left_out[str(path)] = f"not readable as audio ({getattr(error, 'error_string', error)})"
            continue
        for index in range(math.ceil(seconds / WINDOW)):
            start, end = index * WINDOW, min((index + 1) * WINDOW, seconds)
            if end - start >= _SHORTEST:
                windows.append(Window(path, start, end))
    return windows, left_out


class Lessons:
    """What student and teacher hear and what the teacher says, window by window, cached on disk.

    Attributes:
        settings: how to distill.
        width: dimensions of one layer of the teacher.
    """

    def __init__(
        self, teacher: Encoder, student: Encoder, settings: DistillSettings, seed: int, cache_root: Path | None
    ):
        self.teacher, self.settings, self.seed = teacher, settings, seed
        self.width = teacher.hidden_size
        # The teacher's frame that is centred nearest to where the student's first one is.
        self.lag = round((student.first_centre - teacher.first_centre) / (SAMPLE_RATE / 50))
        self.folder = (cache_root or default_cache_root()) / f"teacher-{self._key()}"
        self.spread = torch.ones(0)
        self.position_means = torch.zeros(0)

    def _key(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps([self.teacher.front_key(), self.settings.layers, self.settings.precision]).encode())
        for name, parameter in self.teacher.named_parameters():
            if name.startswith(("model.projector", "model.classifier")):  # not asked, and random in a plain encoder
                continue
            digest.update(name.encode() + parameter.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    def prepare(self, windows: Sequence[Window], progress: Progress) -> dict[Window, str]:
        """Ask the teacher about every view of every window; returns those that cannot be used, and why."""
        broken, total = {}, len(windows) * self.settings.views
        for index, window in enumerate(windows):
            for view in range(self.settings.views):
                entry = self._entry(window, view)
                try:
                    if not entry.exists():
                        self._ask(window, view, entry)
                except AudioError as error:
                    broken[window] = f"{error.kind}: {error}"
                progress("asking the teacher", index * self.settings.views + view + 1, total)
        return broken

    def _ask(self, window: Window, view: int, entry: Path) -> None:
        waveform = load_waveform(window.path, window.start, window.end)
        if view:
            draw = seeded_generator(self.seed, "view", str(view), window.path.name, str(window.start))
            waveform = augment.gain(augment.speed(waveform, draw.uniform(0.85, 1.2)), draw.uniform(-12, 6))
        waveform = waveform[: int(WINDOW * SAMPLE_RATE)]
        if len(waveform) < MIN_SAMPLES:
            raise AudioError("too-short", f"{window.path}: too short at its end")
        said = self.teacher.layer_frames(waveform, self.settings.layers, self.settings.precision)
        with new_file(entry) as file:
            np.save(file, waveform, allow_pickle=False)
            np.save(file, said.half().cpu().numpy(), allow_pickle=False)

    def _entry(self, window: Window, view: int) -> Path:
        name = (
            f"{window.path.resolve()}:{window.path.stat().st_mtime_ns}:{window.start}:{view}:{self.seed if view else 0}"
        )
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        return self.folder / digest[:2] / f"{digest}.npy"

    def read(self, window: Window, view: int) -> tuple[np.ndarray, Tensor]:
        """The waveform, and what the teacher says of it: ``(layers, frames, width)``, standardised by position."""
        with self._entry(window, view).open("rb") as file:
            waveform = np.load(file, allow_pickle=False)
            said = torch.from_numpy(np.load(file, allow_pickle=False)).float()
        return waveform, said

    def standardise(self, windows: Sequence[Window]) -> None:
        """Learn what the teacher says of each position on average, and how much each dimension varies about that."""
        some = windows[:: max(1, len(windows) // _STATISTICS_WINDOWS)]
        longest = int(WINDOW * 50) + 1
        count = torch.zeros(longest, 1, dtype=torch.float64)
        total = torch.zeros(len(self.settings.layers), longest, self.width, dtype=torch.float64)
        square = torch.zeros(len(self.settings.layers), self.width, dtype=torch.float64)
        for window in some:
            said = self.read(window, 0)[1].double()
            count[: said.shape[1]] += 1
            total[:, : said.shape[1]] += said
            square += (said**2).sum(1)
        means = total / count.clamp(min=1)
        variance = square / count.sum() - (count * means**2).sum(1) / count.sum()
        self.position_means, self.spread = means.float(), variance.clamp(min=1e-12).sqrt().float()[:, None]

    def targets(self, said: Tensor, frames: int) -> Tensor:
        """What the student should say in its first ``frames`` frames, ``(layers, frames, width)``; fewer where the
        teacher has no more.
        """
        standard = (said - self.position_means[:, : said.shape[1]]) / self.spread
        return standard[:, self.lag : self.lag + frames]
