"""A function run in a new process, which nothing but its module has loaded libraries into, as Ray is by other tests."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import pytest

_Result = TypeVar("_Result")

needs_cores = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="one core, or no Linux: nothing forks"
)


def in_new_process(function: Callable[..., _Result], *arguments: object) -> _Result:
    """Return what the function returns there; errors, and assertions that fail, come back too."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
