"""Figures as PDF, written in other processes while this one goes on."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from matplotlib.figure import Figure

from voicefit.report.style import drawing, save

SavePdf = Callable[[Figure, Path], None]
"""Writes a figure, which is not changed afterwards, to a path."""


@contextmanager
def saving_pdfs(processes: int) -> Iterator[SavePdf]:
    """Yield what writes figures as PDF; at the end of the block all are there.

    Embedding fonts takes about a third of a report's time.

    Args:
        processes: so many write, beside this one; with 0 this one does. More than 0 need a main module that can be
            imported, as :mod:`multiprocessing` says.
    """
    if processes == 0:
        yield _save
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending: list[Future[None]] = []
        yield lambda figure, path: pending.append(pool.submit(_save, figure, path))
        for each in pending:
            each.result()


def _save(figure: Figure, path: Path) -> None:
    with drawing():
        save(figure, path)
