"""A `transformers` audio classifier, cut at a layer and split in a frozen front end and a trainable rest.

An encoder has four parts, in the order of the data flow: *stem* (convolutions over the waveform or its log-mel frames),
*entry* (projection and positions), transformer *layers*, *exit* (the closing layer norm). The front end is the stem, or
the stem, the entry and the first ``frozen_layers`` layers; it runs once per clip, alone and unpadded. The rest runs on
padded batches with a mask. Its part between the stem and the projector is called *upper*.
"""

import contextlib
import copy
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from voicefit.audio import SAMPLE_RATE
from voicefit.encoders import hidden_units, padding
from voicefit.encoders.cuda_graphs import RecordedPass, RecordedPasses
from voicefit.encoders.dropout import install_dropout
from voicefit.encoders.front_end import FRONT_SETTINGS, FrontEnd, Precision, digest
from voicefit.encoders.precision import autocast, available_precision
from voicefit.heads.head import Projection

_CLIPS_PER_STEM_BATCH = 8
"""A trained stem runs on at most so many clips together: its first layers need as much memory as hundreds of frames."""

_CLIPS_PER_POOL = 256
"""While clips are pooled, the frames of so many are in memory together; a batch on a GPU gains nothing from more."""


class Encoder(nn.Module, ABC):
    """The encoder of a `transformers` audio classifier. Build one with :func:`voicefit.encoders.load_encoder`.

    Attributes:
        model: the whole `transformers` model, head included.
        feature_extractor: the feature extractor of the model, applied to one clip at a time.
        frozen_layers: the number of transformer layers in the front end.
        front_end: the settings of the front end.
        layerdrop_settings: the settings that turn off layerdrop in the config of a family.
        recordable: whether passes of a family can be recorded as CUDA graphs.
        pads: whether clips are padded with silence to a fixed length, and the silence's frames count.
        recorded_multiple: recorded batches are padded to a multiple of so many frames; few shapes are recorded.
    """

    layerdrop_settings: ClassVar[dict[str, Any]] = {"layerdrop": 0.0}
    recordable: ClassVar[bool] = True
    pads: ClassVar[bool] = False
    recorded_multiple: ClassVar[int] = 32

    def __init__(self, model: Any, feature_extractor: Any, frozen_layers: int, front_end: FrontEnd):
        super().__init__()
        install_dropout(model)
        self.model = model
        self.feature_extractor = feature_extractor
        self.frozen_layers = frozen_layers
        self.front_end = front_end
        self._reads_hidden_units = False
        self._recorded = RecordedPasses()
        self.requires_grad_(False)
        for part in self._rest_parts():
            part.requires_grad_(True)
        for weights in self.layer_weights:
            weights.requires_grad_(True)
        self._keep_frozen()
        self.eval()

    def train(self, mode: bool = True) -> "Encoder":
        """Set the mode as in PyTorch; batch statistics are never learnt: four padded clips are too small a sample."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Run a block in evaluation mode. Setting it walks through every module, so that it is set only if need be."""
        was_training = self.model.training
        if was_training:
            self.eval()
        try:
            yield
        finally:
            if was_training:
                self.train()

    @property
    def hidden_size(self) -> int:
        """The width of a pooled vector."""
        return self.model.config.hidden_size

    @property
    def depth(self) -> int:
        """The number of transformer layers that are run."""
        return self.model.config.num_hidden_layers

    @property
    def layer_weights(self) -> list[nn.Parameter]:
        """The weights of the layers, one tensor ``(depth + 1,)``; an empty list if only the last layer is read.

        Their softmax weighs the input of the first layer and the output of each layer (the SUPERB benchmark, Yang et
        al. 2021, section 3.2).
        """
        return [self.model.layer_weights] if self.model.config.use_weighted_layer_sum else []

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return next(self.model.parameters()).device

    @property
    def projector(self) -> nn.Linear:
        """The model's own linear layer from ``hidden_size`` to the width that its classifier reads."""
        return self.model.projector

    @property
    def projection(self) -> Projection:
        """The projector's weight and bias, copied."""
        return Projection(*(p.detach().cpu().numpy().copy() for p in (self.projector.weight, self.projector.bias)))

    @property
    def max_seconds(self) -> float:
        """Longer clips are cut to this."""
        return self.front_end.max_seconds

    def embed(self, waveform: np.ndarray) -> np.ndarray:
        """Return the pooled vector ``(hidden_size,)`` of one clip, a waveform ``(samples,)`` at 16 kHz."""
        return self.pool([self.front(waveform)])[0].cpu().numpy()

    def embed_batch(self, inputs: Tensor) -> Tensor:
        """Return pooled vectors ``(clips, hidden_size)`` of clips of one length, by tensor operations alone.

        Args:
            inputs: of the stem, ``(clips, length, width)``.
        """
        hidden = self._stem_batch(inputs)
        if self.frozen_layers:
            hidden = self._run_layers(self._entry(hidden, None), None, 0, self.frozen_layers)
        return self._run_upper(hidden, None).mean(1)

    def digest(self) -> str:
        """Return 32 hexadecimal digits of the weights and settings that a pooled vector depends on."""
        parts = [*self._stem_parts(), *self._entry_parts(), *self._layers()[: self.depth], *self._exit_parts()]
        weights = [nn.ParameterList(self.layer_weights)] if self.layer_weights else []
        return digest(self._front_settings(), [*parts, *weights])

    def set_projector(self, projector: nn.Linear) -> None:
        """Replace the projector; the new one is trainable."""
        self.model.projector = projector.to(self.device).requires_grad_(True)
        self.model.config.classifier_proj_size = projector.out_features

    @torch.no_grad()
    def front(self, waveform: np.ndarray) -> Tensor:
        """Run the front end on one clip.

        Args:
            waveform: float array ``(samples,)`` at 16 kHz.

        Returns:
            float32 tensor ``(frames, width)``; ``width`` is that of the stem's output, ``hidden_size`` if layers are
            frozen, or that of the stem's input if the stem is trained.
        """
        samples = int(self.front_end.max_seconds * SAMPLE_RATE)
        waveform = waveform[:samples]
        if self.front_end.pad_first:
            waveform = np.pad(waveform, (0, samples - len(waveform)))
        with self._evaluating():
            frames = self._inputs(waveform)
            if not self._trains_stem:
                frames = self._stem([frames])[0]
            if self.frozen_layers:
                frames = self._run_layers(self._entry(frames[None], None), None, 0, self.frozen_layers)[0]
        return frames

    def front_shape(self, samples: int) -> tuple[int, int]:
        """Return the shape ``(frames, width)`` of :meth:`front` for so many samples, without running it."""
        most = int(self.front_end.max_seconds * SAMPLE_RATE)
        frames, width = self._stem_shape(most if self.front_end.pad_first else min(samples, most))
        return frames, self.hidden_size if self.frozen_layers else width

    def forward(self, frames: Sequence[Tensor], precision: Precision = "float32", recorded: bool = False) -> Tensor:
        """Run the rest on clips, each given as the front end's output for it, and average over their frames.

        Args:
            frames: one ``(frames, width)`` tensor per clip; they are padded and masked here.
            precision: of the matrix products; ``bfloat16`` is much faster on hardware that has it.
            recorded: on a GPU, replay the pass and its gradients as CUDA graphs, recorded once for each shape; for
                training all of :meth:`trainable`, with one backward pass a step.

        Returns:
            float32 tensor ``(clips, hidden_size)``; within rounding, each row is that of the clip alone.
        """
        precision = available_precision(precision, self.device)
        with autocast(precision, self.device):
            stem_frames = self._run_stem(frames)
            if recorded and self._can_record and self._upper_weights:
                padded = padding.pad(stem_frames, self.device, self.recorded_multiple)
                return self._recorded_pass(precision)(padded, padding.mask(stem_frames, padded))
            return padding.mean_in_batches(stem_frames, self._hidden, self.device, precision).float()

    @property
    def _can_record(self) -> bool:
        return self.recordable and self.device.type == "cuda"

    @property
    def _upper_weights(self) -> list[nn.Parameter]:
        """The trained weights between the stem and the projector; none if all layers are frozen."""
        trained = [p for part in self._upper_parts() for p in part.parameters() if p.requires_grad]
        return [*trained, *self.layer_weights]

    def _recorded_pass(self, precision: Precision) -> RecordedPass:
        encoder = weakref.proxy(self)  # a reference would keep the encoder and its graphs until a garbage collection

        def run(padded: Tensor, mask: Tensor) -> Tensor:
            with autocast(precision, encoder.device, cache=False):  # a replay would not read cached weights anew
                return padding.mean(encoder._run_upper(padded, mask), mask).float()

        return self._recorded.get((precision, self.training), run, self._upper_weights)

    def hidden(self, frames: Sequence[Tensor], precision: Precision = "float32") -> tuple[Tensor, Tensor | None]:
        """Run the rest on clips in one padded batch, each given as the front end's output for it.

        Returns:
            hidden frames, float32 ``(clips, frames, hidden_size)``, and a mask ``(clips, frames)`` that is true on real
            frames, or ``None`` if all are real.
        """
        with autocast(available_precision(precision, self.device), self.device):
            hidden, mask = self._hidden(self._run_stem(frames))
        return hidden.float(), mask

    def _run_stem(self, frames: Sequence[Tensor]) -> Sequence[Tensor]:
        """Run the stem if it is trained; otherwise :meth:`front` has run it already."""
        if not self._trains_stem:
            return frames
        clips = [clip.to(self.device).float() for clip in frames]
        batches = [
            clips[start : start + _CLIPS_PER_STEM_BATCH] for start in range(0, len(clips), _CLIPS_PER_STEM_BATCH)
        ]
        return [clip_frames for batch in batches for clip_frames in self._stem(batch)]

    def _hidden(self, frames: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        padded = padding.pad(frames, self.device)
        mask = None if min(map(len, frames)) == padded.shape[1] else padding.mask(frames, padded)
        return self._run_upper(padded, mask), mask

    def _run_upper(self, padded: Tensor, mask: Tensor | None) -> Tensor:
        """Run all that follows the stem or the frozen layers on a batch; ``mask`` is true on real frames."""
        if self._reads_hidden_units:
            layer, reader = self.trained_layers()[0], self.feed_forward_outputs()[0]
            hidden = self._after_feed_forward(layer, hidden_units.block_sum(padded, reader))
            return self._exit(self._run_layers(hidden, mask, self.frozen_layers + 1, self.depth))
        hidden = padded if self.frozen_layers else self._entry(padded, mask)
        if self.layer_weights:
            return self._weighted_layers(hidden, mask)
        return self._exit(self._run_layers(hidden, mask, self.frozen_layers, self.depth))

    def _weighted_layers(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Average the first layer's input and all layers' outputs, the last after the exit, by the layer weights."""
        states = [hidden]
        for layer in range(self.depth):
            states.append(self._run_layers(states[-1], mask, layer, layer + 1))
        states[-1] = self._exit(states[-1])
        return torch.einsum("l,lcfw->cfw", self.model.layer_weights.softmax(0), torch.stack(states))

    @torch.no_grad()
    def layer_frames(self, waveform: np.ndarray, layers: Sequence[int], precision: Precision = "float32") -> Tensor:
        """Return the hidden frames of several layers for one clip.

        Args:
            waveform: float array ``(samples,)`` at 16 kHz.
            layers: numbers of transformer layers from 1, rising; none of them frozen.
            precision: of the matrix products.

        Returns:
            float32 tensor ``(len(layers), frames, hidden_size)``.
        """
        frames = self.front(waveform)[None]
        with autocast(available_precision(precision, self.device), self.device):
            hidden, outputs = self._entry(frames, None), []
            for first, last in zip((0, *layers[:-1]), layers, strict=True):
                hidden = self._run_layers(hidden, None, first, last)
                outputs.append(hidden[0].float())
        return torch.stack(outputs)

    @torch.no_grad()
    def pool(self, frames: Iterable[Tensor], precision: Precision = "float32") -> Tensor:
        """Run :meth:`forward` without dropout and gradients; ``(clips, hidden_size)``.

        ``frames`` may be an iterator: the frames of a few hundred clips are in memory together.
        """
        with self._evaluating():
            pooled = [self(chunk, precision) for chunk in padding.chunks(map(torch.as_tensor, frames), _CLIPS_PER_POOL)]
        return torch.cat(pooled)

    def upper_layers(self, layers: int, from_hidden_units: bool = False) -> "Encoder":
        """Return the encoder, its weights shared, with its first ``layers`` layers counted to the front end.

        It takes as frames what :meth:`lower_layers` returns, up to hidden units where it begins at them.
        """
        upper = copy.copy(self)
        upper.frozen_layers, upper._recorded = layers, RecordedPasses()
        upper._reads_hidden_units = from_hidden_units
        return upper

    @torch.no_grad()
    def lower_layers(
        self, layers: int, frames: Tensor, precision: Precision = "float32", to_hidden_units: bool = False
    ) -> Tensor:
        """Run the first ``layers`` layers on one clip, unpadded, given as the front end's output.

        Args:
            layers: how many; at least the frozen ones.
            frames: ``(frames, width)``.
            precision: of the matrix products.
            to_hidden_units: run the next layer too, up to the hidden units of its feed-forward block.

        Returns:
            float32 tensor ``(frames, hidden_size)``; with ``to_hidden_units`` ``(frames, hidden_size + units)``: what
            the block's output is added to, and the hidden units.
        """
        with self._evaluating(), autocast(available_precision(precision, self.device), self.device):
            hidden = self._run_stem([frames.to(self.device).float()])[0][None]
            if not self.frozen_layers:
                hidden = self._entry(hidden, None)
            hidden = self._run_layers(hidden, None, self.frozen_layers, layers)
            if to_hidden_units:
                layer, reader = self._layers()[layers], self.feed_forward_outputs()[layers - self.frozen_layers]
                run = partial(self._run_layers, hidden, None, layers, layers + 1)
                hidden = hidden_units.first_part(run, layer, reader)
        return hidden[0].float()

    def trainable(self) -> list[nn.Parameter]:
        """Return every weight that training changes."""
        return [p for _, p in self._named_trainable()]

    def trained_layers(self) -> list[Any]:
        """Return the transformer layers that training changes, in order."""
        return list(self._layers()[self.frozen_layers : self.depth])

    def trainable_state(self) -> dict[str, Tensor]:
        """Return a copy of every weight that training changes, by name."""
        return {name: p.detach().clone() for name, p in self._named_trainable()}

    def _named_trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        rest = {id(p) for part in self._rest_parts() for p in part.parameters()} | {id(p) for p in self.layer_weights}
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad and id(p) in rest)

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Undo, in place, what training changed inside the block."""
        self._recorded.forget_if_moved(self.trainable())  # a method may have replaced weights by other tensors
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
        """Return 32 hexadecimal digits that change when the front end's weights or settings do."""
        return digest(self._front_settings(), self._front_parts())

    def _front_settings(self) -> dict[str, Any]:
        settings = self.front_end.model_dump(exclude_defaults=True) | {"max_seconds": self.front_end.max_seconds}
        settings |= {"frozen_layers": self.frozen_layers, "feature_extractor": self.feature_extractor.to_dict()}
        settings["config"] = {name: getattr(self.model.config, name, None) for name in FRONT_SETTINGS}
        return settings

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
        """The sample that the first frame is centred on; the others follow at 50 a second."""

    @abstractmethod
    def _inputs(self, waveform: np.ndarray) -> Tensor:
        """Return the input of the stem for one clip, ``(length, width)``."""

    @abstractmethod
    def _stem_shape(self, samples: int) -> tuple[int, int]:
        """Return the shape ``(frames, width)`` of the stem's output, or of its input if the stem is trained."""

    @abstractmethod
    def _stem(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """Run the stem: from each clip's ``(length, width)`` to its frames ``(frames, width)``."""

    @abstractmethod
    def _stem_batch(self, inputs: Tensor) -> Tensor:
        """Run the stem on clips of one length: from ``(clips, length, width)`` to ``(clips, frames, width)``."""

    @abstractmethod
    def _entry(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """Return the input of the first layer, ``(clips, frames, hidden_size)``; ``mask`` is true on real frames."""

    @abstractmethod
    def _layers(self) -> Any:
        """Return the transformer layers."""

    @abstractmethod
    def feed_forward_outputs(self) -> list[nn.Linear]:
        """Return the second linear map of the feed-forward block of each trained layer."""

    @abstractmethod
    def _run_layers(self, hidden: Tensor, mask: Tensor | None, first: int, last: int) -> Tensor:
        """Run layers ``first`` … ``last`` - 1."""

    @abstractmethod
    def _after_feed_forward(self, layer: Any, hidden: Tensor) -> Tensor:
        """Return a layer's output, given the sum of its feed-forward block's output and what that is added to."""

    @abstractmethod
    def _exit(self, hidden: Tensor) -> Tensor:
        """Run the modules after the last layer."""

    @abstractmethod
    def _stem_parts(self) -> list[nn.Module]:
        """Return the modules that :meth:`_stem` runs."""

    @abstractmethod
    def _entry_parts(self) -> list[nn.Module]:
        """Return the modules that :meth:`_entry` runs."""

    @abstractmethod
    def _exit_parts(self) -> list[nn.Module]:
        """Return the modules that :meth:`_exit` runs."""

    def _keep_frozen(self) -> None:
        """Freeze again what a family never trains."""
