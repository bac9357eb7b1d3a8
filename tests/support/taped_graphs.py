"""CUDA graphs without a GPU: a tape of PyTorch's operations, each of which writes where it wrote when it was recorded.

What it cannot show is what a GPU refuses to record, and that memory is shared.
"""

import contextlib
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape(TorchDispatchMode):
    """Stands for :class:`torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        super().__init__()
        self._operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self._operations.append((func, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def replay(self) -> None:
        """Do it again; results come to where they were."""
        for func, args, kwargs, made in self._operations:
            for new, old in zip(tree_leaves(func(*args, **kwargs)), tree_leaves(made), strict=True):
                if isinstance(old, Tensor) and new.data_ptr() != old.data_ptr():
                    old.copy_(new)


class Stream:
    """Stands for :class:`torch.cuda.Stream`."""

    def wait_stream(self, _: "Stream") -> None:
        """Nothing runs beside anything here."""


def install(monkeypatch) -> None:
    """Let `torch.cuda` record on tapes."""
    for name, stand_in in {
        "CUDAGraph": Tape,
        "graph": lambda tape, *_: tape,
        "Stream": Stream,
        "current_stream": Stream,
        "stream": lambda _: contextlib.nullcontext(),
        "device": lambda _: contextlib.nullcontext(),
        "graph_pool_handle": lambda: (0, 0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    fork = torch.random.fork_rng
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: fork(devices=[]))
