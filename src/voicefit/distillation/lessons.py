"""The training data of distillation: windows of recordings, augmented views of them, and the teacher's outputs."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from voicefit.audio import MIN_SAMPLES, SAMPLE_RATE, AudioError, find_audio, load_waveform, waveform_length
from voicefit.distillation import augment
from voicefit.encoders import Encoder, Precision
from voicefit.system.files import default_cache_root, new_file
from voicefit.system.progress import Progress
from voicefit.training import seeded_generator

WINDOW_S = 4.0
"""Recordings are cut in windows of at most so many seconds, which teacher and student hear."""

_MIN_WINDOW_S = 0.5
"""Windows shorter than so many seconds are dropped."""

_SAMPLES_PER_FRAME = 320
"""Teacher and student have 50 frames a second."""

_STATISTICS_WINDOWS = 2000
"""The teacher's outputs are standardised by the statistics of about so many windows."""


class DistillSettings(BaseModel):
    """Settings of distillation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: tuple[int, ...] = Field(
        default=(1, 2, 3), min_length=1, description="layers of the teacher to predict, from 1, rising"
    )
    views: int = Field(
        default=2, ge=1, description="views of each window, differing in speed and gain; one is not changed"
    )
    epochs: int = Field(default=20, ge=1, description="an epoch has one view of every window")
    batch_size: int = Field(default=8, ge=1, description="windows a step")
    lr: float = Field(default=2e-3, gt=0, description="peak learning rate")
    warmup: float = Field(
        default=0.05, ge=0, le=1, description="share of all steps before the peak; linear decay after"
    )
    weight_decay: float = Field(default=0.01, ge=0)
    cosine_weight: float = Field(default=1.0, ge=0, description="weight of the cosine's loss beside the L1 loss")
    held_out: float = Field(default=0.05, gt=0, lt=1, description="share of the recordings that is held out")
    precision: Precision = Field(
        default="float32", description="precision of the matrix products of teacher and student"
    )


@dataclass(frozen=True)
class Window:
    """A piece of a recording, from ``start`` to ``end`` seconds."""

    path: Path
    start: float
    end: float


def find_windows(audio: Sequence[Path]) -> tuple[list[Window], dict[str, str]]:
    """Cut recordings in windows of up to :data:`WINDOW_S` seconds; a rest under half a second is dropped.

    Returns:
        the windows in the order of their paths, and file → reason for those that cannot be read.

    Raises:
        VoicefitError: there is no audio file.
    """
    windows, left_out = [], {}
    for path in find_audio(audio):
        try:
            # Of a file of which no header tells the length, or that cannot be read, all is decoded, which tells why.
            seconds = (waveform_length(path) or len(load_waveform(path))) / SAMPLE_RATE
        except AudioError as error:
            left_out[str(path)] = str(error).removeprefix(f"{path}: ")
            continue
        for index in range(math.ceil(seconds / WINDOW_S)):
            start, end = index * WINDOW_S, min((index + 1) * WINDOW_S, seconds)
            if end - start >= _MIN_WINDOW_S:
                windows.append(Window(path, start, end))
    return windows, left_out


class Lessons:
    """The views of windows and the teacher's outputs for them, cached on disk.

    Attributes:
        teacher: the larger encoder.
        settings: the settings of distillation.
        seed: fixes the views.
        width: the width of a layer of the teacher.
        lag: the frame of the teacher that is aligned with the student's first frame.
        folder: the folder of the cache.
        spread: the standard deviation of the teacher's outputs, ``(layers, 1, width)``.
        position_means: the mean of the teacher's outputs at each position, ``(layers, frames, width)``.
    """

    def __init__(
        self, teacher: Encoder, student: Encoder, settings: DistillSettings, seed: int, cache_root: Path | None
    ):
        self.teacher, self.settings, self.seed = teacher, settings, seed
        self.width, self._with_padding = teacher.hidden_size, student.pads
        # The frame of the teacher whose centre is nearest to that of the student's first frame.
        self.lag = round((student.first_centre - teacher.first_centre) / _SAMPLES_PER_FRAME)
        self.folder = (cache_root or default_cache_root()) / f"teacher-{self._key()}"
        self.spread = torch.ones(0)
        self.position_means = torch.zeros(0)

    def _key(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        settings = self.settings.layers, self.settings.precision, self._with_padding
        digest.update(json.dumps([self.teacher.front_key(), *settings]).encode())
        for name, parameter in self.teacher.named_parameters():
            if name.startswith(("model.projector", "model.classifier")):  # not used, and random in a plain encoder
                continue
            digest.update(name.encode() + parameter.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    def prepare(self, windows: Sequence[Window], progress: Progress) -> dict[Window, str]:
        """Cache the teacher's outputs for every view of every window; return window → reason for unusable ones."""
        broken, total = {}, len(windows) * self.settings.views
        for index, window in enumerate(windows):
            for view in range(self.settings.views):
                entry = self._entry(window, view)
                try:
                    if not entry.exists():
                        self._store(window, view, entry)
                except AudioError as error:
                    broken[window] = f"{error.kind}: {error}"
                progress("running the teacher", index * self.settings.views + view + 1, total)
        return broken

    def _store(self, window: Window, view: int, entry: Path) -> None:
        waveform = load_waveform(window.path, window.start, window.end)
        if view:
            draw = seeded_generator(self.seed, "view", str(view), window.path.name, str(window.start))
            waveform = augment.gain(augment.speed(waveform, draw.uniform(0.85, 1.2)), draw.uniform(-12, 6))
        waveform = waveform[: int(WINDOW_S * SAMPLE_RATE)]
        if len(waveform) < MIN_SAMPLES:
            raise AudioError("too-short", f"{window.path}: too short at its end")
        output = self.teacher.layer_frames(waveform, self.settings.layers, self.settings.precision)
        if not self._with_padding:
            output = output[:, : math.ceil(len(waveform) / _SAMPLES_PER_FRAME)]
        with new_file(entry) as file:
            np.save(file, waveform, allow_pickle=False)
            np.save(file, output.half().cpu().numpy(), allow_pickle=False)

    def _entry(self, window: Window, view: int) -> Path:
        name = (
            f"{window.path.resolve()}:{window.path.stat().st_mtime_ns}:{window.start}:{view}:{self.seed if view else 0}"
        )
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        return self.folder / digest[:2] / f"{digest}.npy"

    def read(self, window: Window, view: int) -> tuple[np.ndarray, Tensor]:
        """Return the waveform of a view, and the teacher's output for it, ``(layers, frames, width)``."""
        with self._entry(window, view).open("rb") as file:
            waveform = np.load(file, allow_pickle=False)
            output = torch.from_numpy(np.load(file, allow_pickle=False)).float()
        return waveform, output

    def standardise(self, windows: Sequence[Window]) -> None:
        """Compute the mean of the teacher's outputs at each position, and the standard deviation of each dimension."""
        sample = windows[:: max(1, len(windows) // _STATISTICS_WINDOWS)]
        longest = int(WINDOW_S * 50) + 1
        count = torch.zeros(longest, 1, dtype=torch.float64)
        total = torch.zeros(len(self.settings.layers), longest, self.width, dtype=torch.float64)
        square = torch.zeros(len(self.settings.layers), self.width, dtype=torch.float64)
        for window in sample:
            output = self.read(window, 0)[1].double()
            count[: output.shape[1]] += 1
            total[:, : output.shape[1]] += output
            square += (output**2).sum(1)
        means = total / count.clamp(min=1)
        variance = square / count.sum() - (count * means**2).sum(1) / count.sum()
        self.position_means, self.spread = means.float(), variance.clamp(min=1e-12).sqrt().float()[:, None]

    def targets(self, output: Tensor, frames: int) -> Tensor:
        """Return the student's targets for its first ``frames`` frames, ``(layers, frames, width)``, standardised.

        They are fewer if the teacher has fewer frames.
        """
        standardised = (output - self.position_means[:, : output.shape[1]]) / self.spread
        return standardised[:, self.lag : self.lag + frames]
