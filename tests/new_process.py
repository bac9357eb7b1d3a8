"""Processes that begin anew (hash seed, threads, state), yet with the imports done: those take seconds."""

import multiprocessing
import os
import sys
from pathlib import Path

from voicefit.cli import main

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["voicefit.cli", "voicefit.sweep", "voicefit.serving.tables", "transformers.models.wav2vec2.modeling_wav2vec2"]
)


def run_command_line(words: list[str], folder: Path) -> tuple[int, str, str]:
    """``voicefit`` with these words: exit code, what it printed and its errors, for whose files ``folder`` is."""
    printed, errors = folder / ".printed", folder / ".errors"
    process = context.Process(target=_run, args=(words, printed, errors, os.getcwd(), dict(os.environ)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, printed.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8")


def _run(words: list[str], printed: Path, errors: Path, place: str, environment: dict[str, str]) -> None:
    os.chdir(place)
    os.environ.clear()
    os.environ.update(environment)
    for path, number in ((printed, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["voicefit", *words]
    main()
