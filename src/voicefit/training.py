"""Parts of all training loops: seeds, shuffles, the schedule, the file of a stopped run, the plot of a history."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from voicefit.errors import VoicefitError
from voicefit.system.files import disk_faults, read_metadata

if TYPE_CHECKING:
    import pandas as pd

_FILE = "state.safetensors"
"""The name of the state file in the folder of an unfinished run."""

_OPTIMIZER = "optimizer/"
"""The names of the optimiser's tensors in a state file start with this."""


def save_state(
    folder: Path, identity: str, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, **record: Any
) -> None:
    """Write the state that resuming needs; an earlier state stays valid until the new one is complete.

    Args:
        folder: the folder of the unfinished run; it is made if need be.
        identity: a digest of the run; :func:`load_state` refuses the state of another run.
        tensors: tensors to save, by names that do not start with ``optimizer/``.
        optimizer: the optimiser, whose state is saved too.
        **record: values to save as JSON.
    """
    moments = {
        f"{_OPTIMIZER}{index}/{name}": tensor
        for index, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    metadata = {"identity": identity} | {name: json.dumps(value) for name, value in record.items()}
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file({**tensors, **moments}, folder / "state.part", metadata=metadata)
        os.replace(folder / "state.part", folder / _FILE)


def load_state(
    folder: Path, identity: str, optimizer: torch.optim.Optimizer, identified_by: str
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read what :func:`save_state` wrote, and set the state of the optimiser.

    Args:
        folder: the folder of the unfinished run.
        identity: the digest of the run.
        optimizer: the optimiser; its state is replaced.
        identified_by: the inputs that fix the identity, for the error message.

    Returns:
        the tensors and the record; ``None`` if there is no state file.

    Raises:
        VoicefitError: the state is damaged, or belongs to a run with another identity.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    record = read_metadata(path)
    if record.pop("identity", None) != identity:
        raise VoicefitError(f"{folder}: was begun with another {identified_by}; remove it to start afresh")
    tensors = load_file(path)
    state: dict[int, dict[str, Tensor]] = {}
    for name in [name for name in tensors if name.startswith(_OPTIMIZER)]:
        index, field = name.removeprefix(_OPTIMIZER).split("/")
        state.setdefault(int(index), {})[field] = tensors.pop(name)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return tensors, {name: json.loads(value) for name, value in record.items()}


def seeded_generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return a generator for a seed and a purpose; others are independent of it."""
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
    """Return the share of the peak learning rate at a step: linear warm-up, then linear decay to 0.

    Args:
        step: the number of the step, from 0.
        total: the number of all steps.
        warmup: the number of steps up to the peak; 0 starts at the peak.
    """
    return (step + 1) / warmup if step < warmup else (total - step) / max(1, total - warmup)


def plot_history(history: "pd.DataFrame", panels: Mapping[str, Mapping[str, str]], path: Path) -> None:
    """Plot a training history over its epochs and save the figure.

    Args:
        history: a row for each epoch, with a column ``epoch``.
        panels: the title of each panel → the columns to plot in it → their names in the legend. Columns with a ``/``
            are those of one corpus; their lines are thinner.
        path: the image file to write.
    """
    from matplotlib.figure import Figure

    width, height = 4 * len(panels), 3.2
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(1, len(panels), squeeze=False)[0]
    # Margins in inches. A layout engine would draw everything once more to find them.
    figure.subplots_adjust(0.65 / width, 0.5 / height, 1 - 0.15 / width, 1 - 0.35 / height, wspace=0.8 / 3.2)
    for axes, (title, columns) in zip(grid, panels.items(), strict=True):
        for column, label in columns.items():
            axes.plot(history["epoch"], history[column], label=label, lw=1 if "/" in column else 2.4, marker=".")
        axes.set(title=title, xlabel="epoch")
        axes.legend(frameon=False, fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
