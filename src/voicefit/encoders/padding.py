"""Clips of several lengths in batches: padding, masks, means over frames, and the sizes of batches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from voicefit.encoders.front_end import Precision
from voicefit.system.machine import move_without_waiting

_FRAMES_PER_BATCH = {"cpu": 600, "cuda": 32_000}
"""A batch has at most so many frames, padding included: a processor's caches hold them, or they keep a GPU busy."""

_FRAMES_PER_BFLOAT16_BATCH = 2_000
"""On a processor in bfloat16, a batch has so many frames if there are enough: with AMX, 1,500 are a third slower."""


def pad(frames: Sequence[Tensor], device: torch.device, multiple: int = 1) -> Tensor:
    """Return clips, each ``(frames, width)``, as ``(clips, frames, width)`` in float32, with zeros after their ends.

    The length is that of the longest clip, rounded up to a multiple of ``multiple``.
    """
    padded = nn.utils.rnn.pad_sequence([clip.to(device).float() for clip in frames], batch_first=True)
    return nn.functional.pad(padded, (0, 0, 0, -padded.shape[1] % multiple))


def mask(frames: Sequence[Tensor], padded: Tensor) -> Tensor:
    """Return a mask ``(clips, frames)`` that is true on the real frames of a batch."""
    ends = move_without_waiting(torch.tensor([len(clip) for clip in frames]), padded.device)
    return torch.arange(padded.shape[1], device=padded.device)[None] < ends[:, None]


def mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Average ``(clips, frames, width)`` over real frames, all frames without a mask; ``(clips, width)``."""
    if mask is None:
        return hidden.mean(1)
    return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def mean_in_batches(
    frames: Sequence[Tensor],
    run: Callable[[list[Tensor]], tuple[Tensor, Tensor | None]],
    device: torch.device,
    precision: Precision,
) -> Tensor:
    """Run clips in batches of similar length, which need little padding, and average each over its frames.

    Args:
        frames: ``(frames, width)`` of each clip.
        run: from the clips of a batch to hidden frames ``(clips, frames, width)`` and their mask.
        device: where ``run`` computes.
        precision: of the matrix products of ``run``.

    Returns:
        ``(clips, width)``, in the order of ``frames``.
    """
    lengths = [len(clip) for clip in frames]
    order = sorted(range(len(frames)), key=lengths.__getitem__)
    most = _frames_per_batch(sum(lengths), device, precision)
    means = [mean(*run([frames[index] for index in batch])) for batch in batches(order, lengths, most)]
    return torch.cat(means)[move_without_waiting(torch.tensor(order).argsort(), device)]


def _frames_per_batch(frames: int, device: torch.device, precision: Precision) -> int:
    if device.type == "cpu" and precision == "bfloat16" and frames >= _FRAMES_PER_BFLOAT16_BATCH:
        return _FRAMES_PER_BFLOAT16_BATCH
    return _FRAMES_PER_BATCH.get(device.type, _FRAMES_PER_BATCH["cuda"])


def batches(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut ``order``, in which lengths rise, into batches of at most ``most`` frames, or of one longer clip."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def chunks(items: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Yield lists of ``size`` items, the last one shorter, and read ``items`` no further than needed."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
