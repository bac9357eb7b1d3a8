"""Processes that begin anew (threads, state, environment), yet with the imports done: those take seconds."""

import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from voicefit.cli.app import main

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["voicefit.cli.app", "voicefit.sweep", "voicefit.cli.tables", "transformers.models.wav2vec2.modeling_wav2vec2"]
)


class Started:
    """A process with a command of its own: ``voicefit`` and its words, or a script or module and its arguments.

    Args:
        words: of the command line; a first one that ends in ``.py`` is a script, and ``-m`` is before a module.
        folder: for two hidden files, of what it prints and of its errors.
        environment: all of it.
    """

    def __init__(self, words: Sequence[object], folder: Path, environment: Mapping[str, str] = os.environ):
        words = [str(word) for word in words]
        folder.mkdir(exist_ok=True)
        self._files = folder / ".printed", folder / ".errors"
        for file in self._files:
            file.write_bytes(b"")
        self.process = context.Process(target=_run, args=(words, self._files, os.getcwd(), dict(environment)))
        self.process.start()

    @property
    def printed(self) -> str:
        """What it has printed up to now."""
        return self._files[0].read_text(encoding="utf-8")

    def first_line(self, seconds: float = 60.0) -> str:
        """Wait for the first line that it prints."""
        end = time.monotonic() + seconds
        while "\n" not in self.printed:
            assert time.monotonic() < end and self.process.is_alive(), self._files[1].read_text(encoding="utf-8")
            time.sleep(0.02)
        return self.printed.splitlines()[0]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process.pid or 0, number)

    def end(self, seconds: float | None = None) -> tuple[int, str, str]:
        """Wait for its end: exit code, what it printed and its errors."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it goes on after {seconds} s"
        return self.process.exitcode, self.printed, self._files[1].read_text(encoding="utf-8")


def run_command_line(
    words: Sequence[object], folder: Path, environment: Mapping[str, str] = os.environ
) -> tuple[int, str, str]:
    """Exit code, what it printed and its errors, of what :class:`Started` starts."""
    return Started(words, folder, environment).end()


def _run(words: list[str], files: tuple[Path, Path], place: str, environment: dict[str, str]) -> None:
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    _fork_workers()
    if words[0].endswith(".py"):
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")
    elif words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["voicefit", *words]
        main()


def _fork_workers() -> None:
    """Let workers of this process be forks of it: a fork server of its own would import everything once more."""
    fork = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: fork  # type: ignore[assignment,method-assign]
