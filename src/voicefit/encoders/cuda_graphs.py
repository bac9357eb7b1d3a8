"""Passes recorded as CUDA graphs: for four clips, Python takes longer to launch the work than a GPU to do it."""

import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from voicefit.errors import VoicefitError

_WARM_UP_PASSES = 3
"""So many passes run before one is recorded; libraries choose their kernels in them. PyTorch runs as many."""


@dataclass(frozen=True)
class _Recording:
    """The recorded pass for one shape: two graphs, and the tensors that they read and write."""

    padded: Tensor
    mask: Tensor
    forward: torch.cuda.CUDAGraph
    pooled: Tensor
    pooled_gradient: Tensor
    backward: torch.cuda.CUDAGraph
    padded_gradient: Tensor | None


class RecordedPass:
    """A pass, forward and backward, that is recorded when a shape first comes and replayed afterwards.

    All shapes share memory. The backward pass must therefore run before the next forward pass; otherwise it raises a
    ``RuntimeError``. The gradients replace those that parameters had. Dropout follows PyTorch's generator, as in a
    pass that is not recorded; recording does not advance the generator.

    Args:
        run: from ``(clips, frames, width)`` and a mask ``(clips, frames)`` to one row a clip; it runs on a GPU and
            reads nothing back from it.
        parameters: all tensors with a gradient that ``run`` reads; they must not move in memory.
        passes: counts the forward passes.
    """

    def __init__(self, run: Callable[[Tensor, Tensor], Tensor], parameters: Sequence[Tensor]):
        self._run, self._parameters = run, list(parameters)
        self._gradients = [torch.empty_like(parameter) for parameter in self._parameters]
        self._pool = torch.cuda.graph_pool_handle()
        self._stream: torch.cuda.Stream | None = None  # one for all: the pool's memory is shared within a stream
        self._graphs: list[torch.cuda.CUDAGraph] = []  # failed ones too: PyTorch frees the shared pool with any of them
        self._recordings: dict[tuple[torch.Size, bool], _Recording] = {}
        self._differentiable = torch.zeros((), requires_grad=True)
        self.passes = 0

    def __call__(self, padded: Tensor, mask: Tensor) -> Tensor:
        """Return the result of ``run``, differentiable.

        Raises:
            VoicefitError: the GPU cannot record the pass.
        """
        key = (padded.shape, padded.requires_grad)
        if key not in self._recordings:
            with (
                torch.cuda.device(padded.device),
                torch.cuda.stream(torch.cuda.current_stream()),  # restores this stream if recording fails
                torch.autocast(padded.device.type, enabled=False),  # as in backward passes
                torch.random.fork_rng(devices=[padded.device]),
            ):
                self._recordings[key] = self._record_or_explain(padded, mask)
        return _Replay.apply(self, self._recordings[key], padded, mask, self._differentiable)

    def set_gradients(self) -> None:
        """Set the gradient of each parameter to that of the last pass."""
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
        gc.collect()  # unreachable graphs must not be freed while one is recorded
        self._stream = stream = self._stream or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP_PASSES):
                pooled = self._run(padded, mask)
                torch.autograd.grad(pooled, inputs, torch.ones_like(pooled))
        torch.cuda.current_stream().wait_stream(stream)
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        self._graphs += [forward, backward]
        with torch.cuda.graph(forward, self._pool, stream):
            pooled = self._run(padded, mask)
        pooled_gradient = torch.empty_like(pooled)
        with torch.cuda.graph(backward, self._pool, stream):
            gradients = torch.autograd.grad(pooled, inputs, pooled_gradient)
            torch._foreach_copy_(self._gradients, gradients[-len(self._parameters) :])
        padded_gradient = gradients[0] if padded.requires_grad else None
        return _Recording(padded, mask, forward, pooled.detach(), pooled_gradient, backward, padded_gradient)


class RecordedPasses:
    """The recorded passes of an encoder.

    Attributes:
        passes: a pass for each key, such as a precision with dropout on or off.
    """

    def __init__(self) -> None:
        self.passes: dict[Hashable, RecordedPass] = {}
        self._addresses: list[int] = []

    def get(self, key: Hashable, run: Callable[[Tensor, Tensor], Tensor], parameters: Sequence[Tensor]) -> RecordedPass:
        """Return the pass of ``key``, a new one of ``run`` and ``parameters`` if there is none."""
        if key not in self.passes:
            self.passes[key] = RecordedPass(run, parameters)
        return self.passes[key]

    def forget_if_moved(self, weights: Sequence[Tensor]) -> None:
        """Forget all passes if ``weights`` have moved in memory since the last call: graphs read fixed addresses."""
        addresses = [weight.data_ptr() for weight in weights]
        if addresses != self._addresses:
            self.passes, self._addresses = {}, addresses


class _Replay(torch.autograd.Function):
    """The replay of a recording as a function of autograd.

    Parameters are not among its inputs: autograd would remember the stream that first used them, and fail to record.
    """

    @staticmethod
    def forward(
        ctx: Any, owner: RecordedPass, recording: _Recording, padded: Tensor, mask: Tensor, differentiable: Tensor
    ) -> Tensor:
        owner.passes += 1
        ctx.owner, ctx.recording, ctx.number = owner, recording, owner.passes
        recording.padded.copy_(padded)
        recording.mask.copy_(mask)
        recording.forward.replay()
        return recording.pooled.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, pooled_gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.number != ctx.owner.passes:
            raise RuntimeError(
                "only the last of the recorded passes can run backward: the memory of the others is in use again"
            )
        ctx.recording.pooled_gradient.copy_(pooled_gradient)
        ctx.recording.backward.replay()
        ctx.owner.set_gradients()
        return None, None, ctx.recording.padded_gradient, None, None
