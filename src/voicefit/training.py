"""What training loops share: generators, shuffles, the schedule, and the file from which a stopped run resumes."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from voicefit.errors import VoicefitError
from voicefit.system.files import read_metadata

_FILE = "state.safetensors"
_OPTIMIZER = "optimizer/"


def save_state(
    folder: Path, identity: str, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, **record: Any
) -> None:
    """Write what resuming needs; what was written before stays valid until this is whole.

    Args:
        folder: made where there is none.
        identity: of the run; :func:`load_state` refuses the state of another.
        tensors: by names that do not begin with ``optimizer/``.
        optimizer: its state goes along.
        record: anything that JSON holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    moments = {
        f"{_OPTIMIZER}{index}/{name}": tensor
        for index, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    metadata = {"identity": identity} | {name: json.dumps(value) for name, value in record.items()}
    save_file({**tensors, **moments}, folder / "state.part", metadata=metadata)
    os.replace(folder / "state.part", folder / _FILE)


def load_state(
    folder: Path, identity: str, optimizer: torch.optim.Optimizer, made_of: str
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What :func:`save_state` wrote, tensors and record, the optimiser's state put back; ``None`` if it wrote nothing.

    Args:
        made_of: what fixes the identity, for the message.

    Raises:
        VoicefitError: the state is damaged, or of a run with another identity.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    record = read_metadata(path)
    if record.pop("identity", None) != identity:
        raise VoicefitError(f"{folder}: was begun with another {made_of}; remove it to start afresh")
    tensors = load_file(path)
    state: dict[int, dict[str, Tensor]] = {}
    for name in [name for name in tensors if name.startswith(_OPTIMIZER)]:
        index, field = name.removeprefix(_OPTIMIZER).split("/")
        state.setdefault(int(index), {})[field] = tensors.pop(name)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return tensors, {name: json.loads(value) for name, value in record.items()}


def seeded_generator(seed: int, *purpose: str) -> np.random.Generator:
    """A generator of its own for each seed and purpose."""
    digest = hashlib.blake2b("/".join([str(seed), *purpose]).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest))


def endless_shuffles(indices: int | np.ndarray, generator: np.random.Generator) -> Iterator[int]:
    """Yield indices without end, in a new order each time all have come.

    Args:
        indices: those to shuffle, or a number n for 0 … n - 1.
        generator: drawn from once a round, when its first index is asked for.
    """
    while True:
        yield from generator.permutation(indices).tolist()


def warmup_then_decay(step: int, total: int, warmup: int) -> float:
    """Share of the peak learning rate at ``step`` of ``total``: linear warm-up, then linear decay to 0.

    Args:
        step: counted from 0.
        warmup: steps up to the peak; 0 begins at it.
    """
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)
