"""Figures as PDF, written in other processes while this one goes on."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from voicefit.errors import VoicefitError
from voicefit.report.style import drawing, save
from voicefit.system.forks import leave_interrupts_to_the_parent

SavePdf = Callable[[Figure, Path], None]
"""Writes a figure, which is not changed afterwards, to a path."""


@contextmanager
def saving_pdfs(processes: int) -> Iterator[SavePdf]:
    """Yield what writes figures as PDF; at the end of the block all are there.

    Embedding fonts takes about a third of a report's time.

    Args:
        processes: so many write, beside this one; with 0 this one does. More than 0 need a main module that can be
            imported, as :mod:`multiprocessing` says.

    Raises:
        VoicefitError: a process that writes was lost.
    """
    if processes == 0:
        yield _save
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=leave_interrupts_to_the_parent)
    pending: list[Future[None]] = []
    try:
        yield lambda figure, path: pending.append(pool.submit(_save, figure, path))
        for each in pending:
            each.result()
    except BrokenProcessPool as error:
        raise VoicefitError(
            "the process that writes the report's PDFs was lost, as happens where memory runs out; run the report again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _save(figure: Figure, path: Path) -> None:
    with drawing():
        save(figure, path)
