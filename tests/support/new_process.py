"""Processes that begin anew (hash seed, threads, state), yet with the imports done: those take seconds."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from voicefit.cli.app import main

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["voicefit.cli.app", "voicefit.sweep", "voicefit.cli.tables", "transformers.models.wav2vec2.modeling_wav2vec2"]
)


class Started:
    """A process with a command of its own: ``voicefit`` and its words, or a script and its arguments.

    Args:
        words: of the command line; a first one that ends in ``.py`` is a script.
        folder: for two hidden files, of what it prints and of its errors.
        environment: all of it.
    """

    def __init__(self, words: Sequence[object], folder: Path, environment: dict[str, str]):
        words = [str(word) for word in words]
        folder.mkdir(exist_ok=True)
        self._files = folder / ".printed", folder / ".errors"
        self.process = context.Process(target=_run, args=(words, self._files, os.getcwd(), environment))
        self.process.start()

    def end(self, seconds: float | None = None) -> tuple[int, str, str]:
        """Wait for its end: exit code, what it printed and its errors."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it goes on after {seconds} s"
        printed, errors = (file.read_text(encoding="utf-8") for file in self._files)
        return self.process.exitcode, printed, errors


def run_command_line(words: Sequence[object], folder: Path) -> tuple[int, str, str]:
    """Exit code, what it printed and its errors, of what :class:`Started` starts."""
    return Started(words, folder, dict(os.environ)).end()


def _run(words: list[str], files: tuple[Path, Path], place: str, environment: dict[str, str]) -> None:
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(files, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    if words[0].endswith(".py"):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
    else:
        sys.argv = ["voicefit", *words]
        main()
