"""The memory of processes of our own: command line and workers."""

import ctypes
import gc
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What glibc's mallopt(3) calls the two."""


def keep_freed_memory() -> None:
    """Let the C library keep what is freed of its heap, until the process ends, for the tensors of the next step.

    glibc hands most of it back, and the system's new pages for it, zeroed, take an eighth to a sixth of a pass backward
    (docs/performance.md). Other C libraries are left as they are, and so is the process of who imports Voicefit.
    """
    if _is_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, -1)  # never
        libc.mallopt(_MMAP_THRESHOLD, 32 * 2**20)  # the most that it takes


def give_back_freed_memory() -> None:
    """Let the system have what was kept, as when a thread ends: what that has freed serves no other thread."""
    gc.collect()
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
