"""Passes recorded as CUDA graphs: four clips go through a GPU in less time than Python takes to launch the work."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from voicefit.errors import VoicefitError

_WARM_UP = 3
"""Passes before one is recorded, in which libraries choose their products; as many as PyTorch makes."""


@dataclass(frozen=True)
class _Recording:
    """The pass for one shape: two graphs, and the tensors that they read and write."""

    padded: Tensor
    mask: Tensor
    ahead: torch.cuda.CUDAGraph
    pooled: Tensor
    pooled_gradient: Tensor
    back: torch.cuda.CUDAGraph
    padded_gradient: Tensor | None


class RecordedPass:
    """A pass, forward and backward, that is recorded when a shape is first seen and replayed ever after.

    All shapes share memory: a pass goes back before the next goes ahead (else it raises a ``RuntimeError``), and its
    gradients take the place of those that parameters had. Dropout follows PyTorch's generator, as it does unrecorded;
    recording leaves that as it was. What a GPU cannot record is a ``VoicefitError``.

    Args:
        run: ``(clips, frames, width)`` and a mask ``(clips, frames)`` to one row a clip; all of it on a GPU, and
            nothing read back from it.
        parameters: all that it reads and that has a gradient; they stay where they are in memory.
    """

    def __init__(self, run: Callable[[Tensor, Tensor], Tensor], parameters: Sequence[Tensor]):
        self._run, self._parameters = run, list(parameters)
        self._gradients = [torch.empty_like(parameter) for parameter in self._parameters]
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream | None = None  # one for all: on others the pool's memory would not be shared
        self._graphs: list[torch.cuda.CUDAGraph] = []  # failed ones too: with one, PyTorch frees what all use
        self._recordings: dict[tuple[torch.Size, bool], _Recording] = {}
        self._differentiable = torch.zeros((), requires_grad=True)
        self.passes = 0

    def __call__(self, padded: Tensor, mask: Tensor) -> Tensor:
        """What ``run`` gives, differentiable."""
        key = (padded.shape, padded.requires_grad)
        if key not in self._recordings:
            with (
                torch.cuda.device(padded.device),
                torch.cuda.stream(torch.cuda.current_stream()),  # so that it is this one again if recording fails
                torch.autocast(padded.device.type, enabled=False),  # as backward passes are
                torch.random.fork_rng(devices=[padded.device]),
            ):
                self._recordings[key] = self._record_or_explain(padded, mask)
        return _Replay.apply(self, self._recordings[key], padded, mask, self._differentiable)

    def set_gradients(self) -> None:
        """Give each parameter its gradient of the last pass."""
        for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def _record_or_explain(self, padded: Tensor, mask: Tensor) -> _Recording:
        try:
            return self._record(padded, mask)
        except RuntimeError as error:
            raise VoicefitError(
                f"the GPU could not record a training pass through {tuple(padded.shape)} as CUDA graphs: "
                f"{error.__context__ or error}. In a new process, cuda_graphs = false among the settings of the method "
                "does without, more slowly"
            ) from error

    def _record(self, padded: Tensor, mask: Tensor) -> _Recording:
        padded, mask = padded.detach().clone().requires_grad_(padded.requires_grad), mask.clone()
        inputs = [padded, *self._parameters] if padded.requires_grad else self._parameters
        gc.collect()  # graphs that nothing but a cycle keeps must not die while one is recorded
        self._stream = stream = self._stream or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                pooled = self._run(padded, mask)
                torch.autograd.grad(pooled, inputs, torch.ones_like(pooled))
        torch.cuda.current_stream().wait_stream(stream)
        ahead, back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self._graphs += [ahead, back]
        with torch.cuda.graph(ahead, self._pool, stream):
            pooled = self._run(padded, mask)
        pooled_gradient = torch.empty_like(pooled)
        with torch.cuda.graph(back, self._pool, stream):
            found = torch.autograd.grad(pooled, inputs, pooled_gradient)
            torch._foreach_copy_(self._gradients, found[-len(self._parameters) :])
        padded_gradient = found[0] if padded.requires_grad else None
        return _Recording(padded, mask, ahead, pooled.detach(), pooled_gradient, back, padded_gradient)


class _Replay(torch.autograd.Function):
    """Parameters are no inputs of it: autograd would remember on which stream it first met them, and fail to record."""

    @staticmethod
    def forward(
        ctx: Any, owner: RecordedPass, recording: _Recording, padded: Tensor, mask: Tensor, differentiable: Tensor
    ) -> Tensor:
        owner.passes += 1
        ctx.owner, ctx.recording, ctx.number = owner, recording, owner.passes
        recording.padded.copy_(padded)
        recording.mask.copy_(mask)
        recording.ahead.replay()
        return recording.pooled.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pooled_gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.number != ctx.owner.passes:
            raise RuntimeError("of recorded passes the last alone can go backward: the others' memory is in use again")
        ctx.recording.pooled_gradient.copy_(pooled_gradient)
        ctx.recording.back.replay()
        ctx.owner.set_gradients()
        return None, None, ctx.recording.padded_gradient, None, None
