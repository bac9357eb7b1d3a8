"""The machine: the devices that encoders run on, and what is recorded of it and of versions beside a result."""

import contextlib
import functools
import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

_RECORDED_PACKAGES = ("voicefit", "torch", "transformers", "scikit-learn", "numpy", "soundfile", "soxr")
"""Results may depend on these packages: their versions are recorded."""


def devices() -> list[str]:
    """Return the devices that encoders can run on: every GPU, ``cuda:0`` …, or ``cpu`` without one."""
    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


@functools.cache
def has_bfloat16(device: torch.device) -> bool:
    """Report whether ``device`` multiplies matrices in bfloat16 itself.

    A processor that does not (x86 without AVX-512 BF16, AMD before Zen 4) may take 100 times as long as in float32.
    """
    if device.type == "cuda":
        return bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)
    if platform.machine().lower() in ("x86_64", "amd64"):
        is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    else:
        is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(torch.backends.mkldnn.is_available() and is_supported is not None and is_supported())


def move_without_waiting(values: Tensor, device: torch.device) -> Tensor:
    """Copy ``values`` from a processor's memory to ``device``; a GPU copies in its own time, without a wait here."""
    if device.type == "cuda":
        values = values.pin_memory()  # from other memory, the copy waits until all earlier work is done
    return values.to(device, non_blocking=True)


@contextlib.contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Run torch on ``count`` threads for the time of the block, and the linear algebra of numpy and scipy on one.

    Their matrices are small here: a second thread gains little, and spins where another program has the core.
    """
    before = torch.get_num_threads()
    with threadpool_limits({"blas": 1, "openmp": count}):
        torch.set_num_threads(count)  # this holds for threads that start inside the block too
        try:
            yield
        finally:
            torch.set_num_threads(before)


def describe_versions() -> dict[str, str]:
    """Return package → version, for Python and the packages that results depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _RECORDED_PACKAGES}


def describe_machine() -> dict[str, str | int | None]:
    """Return ``system``, ``processor``, ``cores``, ``gpu`` (``None``: none) and ``bfloat16`` (:func:`has_bfloat16`)."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "bfloat16": has_bfloat16(torch.device(devices()[0])),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
