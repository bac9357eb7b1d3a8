"""Memory of the processes that Voicefit starts: the command line and workers."""

import atexit
import contextlib
import ctypes
import gc
import platform
from collections.abc import Iterator

_M_TRIM_THRESHOLD = -1
"""The number of glibc's mallopt(3) option for how much free heap is handed back to the system."""

_M_MMAP_THRESHOLD = -3
"""The number of glibc's mallopt(3) option for the size above which an allocation is mapped outside the heap."""

_NEVER_TRIM = -1
"""As a trim threshold, this keeps all of the heap."""

_MMAP_THRESHOLD_BYTES = 32 * 2**20
"""Allocations up to this size come from the heap; it is the largest value that glibc accepts."""


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the tensors of the next step, until the process ends.

    By default glibc hands most of it back to the system. The new, zeroed pages then take an eighth to a sixth of a
    backward pass (benchmarks/trial.md). Other C libraries are not changed. Only the command line and its workers call
    this; importing Voicefit changes nothing.
    """
    if _is_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM)
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)


def give_back_freed_memory() -> None:
    """Hand kept memory back to the system, as when a thread ends: other threads cannot use what it has freed."""
    gc.collect()
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Look for no garbage while a block imports: libraries leave next to none, and each look walks through all of them.

    Together these looks take a fifth of the time that torch and transformers take to import (benchmarks/demo.md).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def keep_imports() -> None:
    """Look for no garbage in what there is now: once a command has done its imports, each look walks through them."""
    gc.freeze()


def skip_last_collection() -> None:
    """Let this process end at once: Python would look through all libraries for garbage, 1.5 s after torch."""
    atexit.register(gc.freeze)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
