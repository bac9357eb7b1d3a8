"""What commands print on a terminal: results on standard output, progress and remarks on standard error."""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from voicefit.system.progress import Progress

_WIDE = 1_000
"""The width of what is piped or written to a log: a name that is cut in two cannot be searched for."""


def _console(stream: TextIO, stderr: bool = False) -> Console:
    """Make a console that is as wide as the terminal, or as a line may be where there is none."""
    return Console(stderr=stderr, width=None if stream.isatty() or "COLUMNS" in os.environ else _WIDE)


out = _console(sys.stdout)
err = _console(sys.stderr, stderr=True)


def take_any_name() -> None:
    """Let names of files be printed that are no UTF-8, as old archives have them: such bytes are then written out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def escape(text: str) -> str:
    """One line of text that rich prints as it is, brackets included."""
    return " ".join(text.replace("[", "\\[").split("\n"))


def notify(text: str) -> None:
    """Print a line for the person who waits, on standard error."""
    err.print(escape(text), soft_wrap=True)


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s" if speed >= 100 else f"{speed:.3g}/s")


class ProgressLines:
    """Progress as plain lines, for a log or a pipe: how far each kind of work is, every so often and at its end.

    Args:
        write: takes a line.
        seconds: between two lines of one kind of work; the first comes after as many.
        now: the time in seconds.
    """

    def __init__(
        self, write: Callable[[str], None], seconds: float = 20.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._seconds, self._now = write, seconds, now
        self._begun: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take how much of something is done, and write a line if it is time."""
        now = self._now()
        begun = self._begun.setdefault(what, now)
        last = self._told.setdefault(what, begun)
        over = done >= total
        if now - last < self._seconds and not (over and last > begun):
            return  # what ends before its first line was short
        self._told[what] = now
        self._write(f"{what}: {done:,} of {total:,} after {now - begun:.0f} s")
        if over:
            del self._begun[what], self._told[what]


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A progress bar per kind of work, on standard error; plain lines where none can be drawn anew in its place.

    That is in a pipe or a log, whatever asks for colours there, and in a terminal that cannot move its cursor: every
    state of a bar would stay.
    """
    if not (err.is_interactive and sys.stderr.isatty()) or err.is_dumb_terminal:
        yield ProgressLines(notify)
        return
    columns = (
        TextColumn("{task.description}", table_column=Column(overflow="fold")),  # no number is cut
        BarColumn(20),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    bars = rich.progress.Progress(*columns, console=err)
    tasks: dict[str, Any] = {}

    def progress(what: str, done: int, total: int) -> None:
        bars.start()  # not before there is something to show
        if what not in tasks:
            tasks[what] = bars.add_task(escape(what), total=total)
        bars.update(tasks[what], completed=done, total=total)

    try:
        yield progress
    finally:
        if tasks:
            bars.stop()


def print_json(value: Any) -> None:
    """Write a value as indented JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
