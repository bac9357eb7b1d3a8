"""How long work reports where it is: the two kinds of callback that functions take."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""

Notify = Callable[[str], None]
"""Called with a line for a person."""


def silent(*_: object) -> None:
    """A callback, of either kind, that reports nothing."""
