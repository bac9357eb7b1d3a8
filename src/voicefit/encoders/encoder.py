"""A `transformers` audio classifier, cut at a layer and split in a frozen front end and a trainable rest.

Four parts in the order of the data flow: *stem* (convolutions over the waveform or its log-mel frames), *entry*
(projection and positions), transformer *layers*, *exit* (the closing layer norm). The front end is the stem, or
the stem, the entry and the first ``frozen_layers`` layers; it runs once per clip, alone and unpadded. The rest
runs on padded batches with a mask.
"""

import contextlib
import copy
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.audio import SAMPLE_RATE
from voicefit.encoders import padding
from voicefit.encoders.cuda_graphs import RecordedPass
from voicefit.encoders.dropout import install_dropout
from voicefit.encoders.front_end import FRONT_SETTINGS, FrontEnd, digest
from voicefit.system.machine import has_bfloat16, move_without_waiting

Precision = Literal["float32", "bfloat16"]
"""Of matrix products. Where the hardware has none in bfloat16, ``bfloat16`` means float32."""

_FRAMES_AT_ONCE = {"cpu": 600, "cuda": 32_000}
"""Frames of a batch, padding included: on a processor as many as its caches hold, on a GPU as keep it busy."""

_FRAMES_IN_BFLOAT16 = 2_000
"""The same on a processor in bfloat16 where there are so many: with AMX, 600 to 1,500 run at two thirds of the rate."""

_CLIPS_IN_STEM = 8
"""Clips that go through a trained stem together: its first layers are as large as hundreds of frames of the others."""

_CLIPS_AT_ONCE = 256
"""Clips whose frames are in memory together while they are pooled: no more than a batch on a GPU gains from."""


class Encoder(nn.Module, ABC):
    """The encoder of a `transformers` audio classifier. Build one with :func:`voicefit.encoders.load_encoder`.

    Attributes:
        model: the whole `transformers` model, head included.
        feature_extractor: its feature extractor, applied to one clip at a time.
        frozen_layers: how many transformer layers belong to the front end.
        front_end: how a clip becomes what the rest reads.
    """

    layerdrop_settings: ClassVar[dict[str, Any]] = {"layerdrop": 0.0}
    recordable: ClassVar[bool] = True
    frames_apart: ClassVar[int] = 32
    """Recorded batches are as long as a multiple of so many frames, so that few shapes have to be recorded."""

    def __init__(self, model: Any, feature_extractor: Any, frozen_layers: int, front_end: FrontEnd):
        super().__init__()
        install_dropout(model)
        self.model = model
        self.feature_extractor = feature_extractor
        self.frozen_layers = frozen_layers
        self.front_end = front_end
        self._recorded: dict[tuple[Precision, bool], RecordedPass] = {}
        self._places: list[int] = []  # of the weights in memory, for which passes were recorded
        self.requires_grad_(False)
        for part in self._rest_parts():
            part.requires_grad_(True)
        for weights in self.layer_weights:
            weights.requires_grad_(True)
        self._keep_frozen()
        self.eval()

    def train(self, mode: bool = True) -> "Encoder":
        """As in PyTorch, but means and variances of batches are never learnt: four clips, padded, are no sample."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self

    @property
    def hidden_size(self) -> int:
        """Width of a pooled vector."""
        return self.model.config.hidden_size

    @property
    def depth(self) -> int:
        """Number of transformer layers that are run."""
        return self.model.config.num_hidden_layers

    @property
    def layer_weights(self) -> list[nn.Parameter]:
        """Where all layers are read at once, one tensor ``(depth + 1,)``, else none.

        Its softmax weighs what the first layer reads and what each layer says (the SUPERB benchmark, Yang et al.
        2021, section 3.2).
        """
        return [self.model.layer_weights] if self.model.config.use_weighted_layer_sum else []

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def projector(self) -> nn.Linear:
        """The model's own linear layer from ``hidden_size`` to the width that its classifier reads."""
        return self.model.projector

    def set_projector(self, projector: nn.Linear) -> None:
        """Replace the projector; the new one is trainable."""
        self.model.projector = projector.to(self.device).requires_grad_(True)
        self.model.config.classifier_proj_size = projector.out_features

    @torch.no_grad()
    def front(self, waveform: np.ndarray) -> Tensor:
        """The front end's output for one clip.

        Args:
            waveform: float array ``(samples,)`` at 16 kHz.

        Returns:
            float32 tensor ``(frames, width)``; ``width`` is that of the stem, or ``hidden_size`` when layers
            are frozen, or that of the stem's own input when the stem is trained.
        """
        was_training = self.model.training
        self.eval()
        samples = int(self.front_end.max_seconds * SAMPLE_RATE)
        waveform = waveform[:samples]
        if self.front_end.pad_first:
            waveform = np.pad(waveform, (0, samples - len(waveform)))
        frames = self._inputs(waveform)
        if not self._trains_stem:
            frames = self._stem([frames])[0]
        if self.frozen_layers:
            frames = self._run_layers(self._entry(frames[None], None), None, 0, self.frozen_layers)[0]
        self.train(was_training)
        return frames

    def front_shape(self, samples: int) -> tuple[int, int]:
        """``(frames, width)`` of what :meth:`front` gives for a waveform of so many samples, without running it."""
        most = int(self.front_end.max_seconds * SAMPLE_RATE)
        frames, width = self._stem_shape(most if self.front_end.pad_first else min(samples, most))
        return frames, self.hidden_size if self.frozen_layers else width

    def forward(self, frames: Sequence[Tensor], precision: Precision = "float32", recorded: bool = False) -> Tensor:
        """Mean-pooled hidden frames of clips, each given as the front end's output for it.

        Args:
            frames: one ``(frames, width)`` tensor per clip; they are padded and masked here.
            precision: of the matrix products; ``bfloat16``, where the hardware has it, is much faster.
            recorded: on a GPU, replay the pass and its gradients as CUDA graphs, which are recorded when a shape first
                comes; for training all that :meth:`trainable` gives, one backward pass a step.

        Returns:
            float32 tensor ``(clips, hidden_size)``; equal, within rounding, to what each clip gives alone.
        """
        precision = self._available_precision(precision)
        with self._autocast(precision):
            stemmed = self._run_stem(frames)
            if recorded and self._can_record and self._upper_weights:
                padded = padding.pad(stemmed, self.device, self.frames_apart)
                return self._recorded_pass(precision)(padded, padding.mask(stemmed, padded))
            return self._mean_frames(stemmed, precision).float()

    @property
    def _can_record(self) -> bool:
        return self.recordable and self.device.type == "cuda"

    @property
    def _upper_weights(self) -> list[nn.Parameter]:
        """What is trained between the stem and the projector; none where all layers are frozen."""
        trained = [p for part in self._upper_parts() for p in part.parameters() if p.requires_grad]
        return [*trained, *self.layer_weights]

    def _recorded_pass(self, precision: Precision) -> RecordedPass:
        key = (precision, self.training)
        if key not in self._recorded:
            encoder = weakref.proxy(self)  # which is not to wait for the garbage collector, graphs and all

            def run(padded: Tensor, mask: Tensor) -> Tensor:
                with encoder._autocast(precision, cache=False):  # what is cached would not be read anew in a replay
                    return padding.mean(encoder._upper(padded, mask), mask).float()

            self._recorded[key] = RecordedPass(run, self._upper_weights)
        return self._recorded[key]

    def _available_precision(self, precision: Precision) -> Precision:
        """``precision``, or float32 where there is no other."""
        return "bfloat16" if precision == "bfloat16" and has_bfloat16(self.device) else "float32"

    def _autocast(self, precision: Precision, cache: bool | None = None) -> torch.autocast:
        bfloat16 = precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16, cache_enabled=cache)

    def _frames_at_once(self, frames: int, precision: Precision) -> int:
        if self.device.type == "cpu" and precision == "bfloat16" and frames >= _FRAMES_IN_BFLOAT16:
            return _FRAMES_IN_BFLOAT16
        return _FRAMES_AT_ONCE.get(self.device.type, _FRAMES_AT_ONCE["cuda"])

    def _mean_frames(self, frames: Sequence[Tensor], precision: Precision) -> Tensor:
        """Means in the order of ``frames``, run in batches of similar length: little is padding."""
        lengths = [len(clip) for clip in frames]
        order = sorted(range(len(frames)), key=lengths.__getitem__)
        batches = padding.batches(order, lengths, self._frames_at_once(sum(lengths), precision))
        means = [padding.mean(*self._hidden([frames[index] for index in batch])) for batch in batches]
        return torch.cat(means)[move_without_waiting(torch.tensor(order).argsort(), self.device)]

    def hidden(self, frames: Sequence[Tensor], precision: Precision = "float32") -> tuple[Tensor, Tensor | None]:
        """Hidden frames of clips in one padded batch, each given as the front end's output for it.

        Returns:
            float32 tensor ``(clips, frames, hidden_size)``, and a mask ``(clips, frames)`` that is true on real frames,
            or ``None`` where all are.
        """
        with self._autocast(self._available_precision(precision)):
            hidden, mask = self._hidden(self._run_stem(frames))
        return hidden.float(), mask

    def _run_stem(self, frames: Sequence[Tensor]) -> Sequence[Tensor]:
        """Frames as the stem gives them, where training changes it and :meth:`front` leaves it out."""
        if not self._trains_stem:
            return frames
        clips = [clip.to(self.device).float() for clip in frames]
        starts = range(0, len(clips), _CLIPS_IN_STEM)
        return [clip_frames for start in starts for clip_frames in self._stem(clips[start : start + _CLIPS_IN_STEM])]

    def _hidden(self, frames: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        padded = padding.pad(frames, self.device)
        mask = None if min(map(len, frames)) == padded.shape[1] else padding.mask(frames, padded)
        return self._upper(padded, mask), mask

    def _upper(self, padded: Tensor, mask: Tensor | None) -> Tensor:
        """What the trained layers make of a batch; ``mask`` is true on real frames."""
        hidden = padded if self.frozen_layers else self._entry(padded, mask)
        if self.layer_weights:
            return self._weighted_layers(hidden, mask)
        return self._exit(self._run_layers(hidden, mask, self.frozen_layers, self.depth))

    def _weighted_layers(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """What the first layer reads and what each layer says, the last with the exit, in a weighted mean."""
        states = [hidden]
        for layer in range(self.depth):
            states.append(self._run_layers(states[-1], mask, layer, layer + 1))
        states[-1] = self._exit(states[-1])
        return torch.einsum("l,lcfw->cfw", self.model.layer_weights.softmax(0), torch.stack(states))

    @torch.no_grad()
    def layer_frames(self, waveform: np.ndarray, layers: Sequence[int], precision: Precision = "float32") -> Tensor:
        """What several layers say of one clip, without the silence that a family pads with.

        Args:
            waveform: float array ``(samples,)`` at 16 kHz.
            layers: numbers of transformer layers from 1, rising; none of them frozen.
            precision: of the matrix products.

        Returns:
            float32 tensor ``(len(layers), frames, hidden_size)``.
        """
        frames = self.front(waveform)[None]
        with self._autocast(self._available_precision(precision)):
            hidden, said = self._entry(frames, None), []
            for first, last in zip((0, *layers[:-1]), layers, strict=True):
                hidden = self._run_layers(hidden, None, first, last)
                said.append(hidden[0, : self._spoken_frames(len(waveform))].float())
        return torch.stack(said)

    def _spoken_frames(self, samples: int) -> int:
        """How many frames of so many samples hear any of them."""
        return samples

    @torch.no_grad()
    def pool(self, frames: Iterable[Tensor], precision: Precision = "float32") -> Tensor:
        """:meth:`forward` without dropout and gradients; ``(clips, hidden_size)``.

        ``frames`` may be read as they are asked for: those of a few hundred clips are in memory together.
        """
        was_training = self.model.training
        self.eval()
        pooled = [self(chunk, precision) for chunk in _chunks(map(torch.as_tensor, frames), _CLIPS_AT_ONCE)]
        self.train(was_training)
        return torch.cat(pooled)

    def upper_layers(self, layers: int) -> "Encoder":
        """The same encoder, its weights shared, as if its first ``layers`` layers belonged to the front end.

        It reads what :meth:`lower_layers` returns.
        """
        upper = copy.copy(self)
        upper.frozen_layers, upper._recorded = layers, {}
        return upper

    @torch.no_grad()
    def lower_layers(self, layers: int, frames: Tensor, precision: Precision = "float32") -> Tensor:
        """What the first ``layers`` layers make of one clip, alone and unpadded, given as the front end's output.

        Returns:
            float32 tensor ``(frames, hidden_size)``.
        """
        was_training = self.model.training
        self.eval()
        with self._autocast(self._available_precision(precision)):
            hidden = self._run_stem([frames.to(self.device).float()])[0][None]
            if not self.frozen_layers:
                hidden = self._entry(hidden, None)
            hidden = self._run_layers(hidden, None, self.frozen_layers, layers)[0]
        self.train(was_training)
        return hidden.float()

    def trainable(self) -> list[nn.Parameter]:
        """Every weight that training changes."""
        return [p for _, p in self._named_trainable()]

    def trained_layers(self) -> list[Any]:
        """The transformer layers that training changes, in order."""
        return list(self._layers()[self.frozen_layers : self.depth])

    def trainable_state(self) -> dict[str, Tensor]:
        """A copy of every weight that training changes, by name."""
        return {name: p.detach().clone() for name, p in self._named_trainable()}

    def _named_trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        rest = {id(p) for part in self._rest_parts() for p in part.parameters()} | {id(p) for p in self.layer_weights}
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad and id(p) in rest)

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Undo, in place, whatever training changed inside the block."""
        places = [p.data_ptr() for p in self.trainable()]
        if places != self._places:  # a method may have put other tensors in the place of weights
            self._recorded, self._places = {}, places
        before = self.trainable_state()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self.named_parameters():
                    if name in before:
                        parameter.copy_(before[name])
                        parameter.grad = None

    def front_key(self) -> str:
        """32 hexadecimal digits that change when the front end's weights or settings do."""
        settings = self.front_end.model_dump(exclude_defaults=True) | {"max_seconds": self.front_end.max_seconds}
        settings |= {"frozen_layers": self.frozen_layers, "feature_extractor": self.feature_extractor.to_dict()}
        settings["config"] = {name: getattr(self.model.config, name, None) for name in FRONT_SETTINGS}
        return digest(settings, self._front_parts())

    @property
    def _trains_stem(self) -> bool:
        return self.front_end.train and not self.frozen_layers

    def _rest_parts(self) -> list[nn.Module]:
        stem = self._stem_parts() if self._trains_stem else []
        return [*stem, *self._upper_parts(), self.model.projector]

    def _upper_parts(self) -> list[nn.Module]:
        entry = [] if self.frozen_layers else self._entry_parts()
        return [*entry, *self.trained_layers(), *self._exit_parts()]

    def _front_parts(self) -> list[nn.Module]:
        entry = self._entry_parts() if self.frozen_layers else []
        stem = [] if self._trains_stem else self._stem_parts()
        return [*stem, *entry, *self._layers()[: self.frozen_layers]]

    @property
    @abstractmethod
    def first_centre(self) -> float:
        """The sample about which the first frame is centred; the others follow at 50 a second."""

    @abstractmethod
    def _inputs(self, waveform: np.ndarray) -> Tensor:
        """What the stem reads of one clip, ``(length, width)``."""

    @abstractmethod
    def _stem_shape(self, samples: int) -> tuple[int, int]:
        """``(frames, width)`` of the stem's output or, where the stem is trained, of its input."""

    @abstractmethod
    def _stem(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Each clip's frames before positions and layers, ``(frames, width)``, of its ``(length, width)``."""

    @abstractmethod
    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """What the first layer reads, ``(clips, frames, hidden_size)``; ``mask`` is true on real frames."""

    @abstractmethod
    def _layers(self) -> Any:
        """The transformer layers."""

    @abstractmethod
    def feed_forward_outputs(self) -> list[nn.Linear]:
        """Of each trained layer, the linear map that reads the hidden units of its feed-forward block."""

    @abstractmethod
    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        """Layers ``first`` … ``last`` - 1."""

    @abstractmethod
    def _exit(self, hidden: Tensor) -> Tensor:
        """What follows the last layer."""

    @abstractmethod
    def _stem_parts(self) -> list[nn.Module]:
        """The modules that :meth:`_stem` runs."""

    @abstractmethod
    def _entry_parts(self) -> list[nn.Module]:
        """The modules that :meth:`_entry` runs."""

    @abstractmethod
    def _exit_parts(self) -> list[nn.Module]:
        """The modules that :meth:`_exit` runs."""

    def _keep_frozen(self) -> None:
        """Freeze again what a family never trains."""


def _chunks(items: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Lists of ``size`` items, the last one shorter, drawn from ``items`` only when asked for."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
