"""The two kinds of callback by which long work reports: progress, and lines for a person."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""A callback that takes what is being done, how much of it is done, and the total."""

Notify = Callable[[str], None]
"""A callback that takes a line for a person."""


def silent(*_: object) -> None:
    """Report nothing, as the default of either kind of callback."""
