"""Clips of several lengths in one batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from voicefit.system.machine import move_without_waiting


def pad(frames: Sequence[Tensor], device: torch.device, multiple: int = 1) -> Tensor:
    """Clips, each ``(frames, width)``, as ``(clips, frames, width)`` in float32, zeros after their ends.

    It is as long as the longest of them, or the next ``multiple``.
    """
    padded = nn.utils.rnn.pad_sequence([clip.to(device).float() for clip in frames], batch_first=True)
    return nn.functional.pad(padded, (0, 0, 0, -padded.shape[1] % multiple))


def mask(frames: Sequence[Tensor], padded: Tensor) -> Tensor:
    """True on real frames of a batch, ``(clips, frames)``."""
    ends = move_without_waiting(torch.tensor([len(clip) for clip in frames]), padded.device)
    return torch.arange(padded.shape[1], device=padded.device)[None] < ends[:, None]


def mean(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Over real frames, all where there is no mask: ``(clips, width)`` of ``(clips, frames, width)``."""
    if mask is None:
        return hidden.mean(1)
    return (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def batches(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut ``order``, in which lengths rise, so that no batch has more than ``most`` frames, or it has one clip."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > most:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
