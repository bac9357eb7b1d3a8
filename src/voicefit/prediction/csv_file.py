"""Predictions written to a CSV file as they come; a run that was stopped resumes where the file ends."""

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from voicefit.audio import find_audio
from voicefit.errors import VoicefitError
from voicefit.prediction.model import Model, Prediction
from voicefit.system.progress import Progress, silent

_BEFORE, _AFTER = ("file", "label"), ("error", "remark")
"""The columns around those of the labels, which hold probabilities."""


def predict_to_csv(
    model: Model,
    paths: Sequence[Path],
    out: Path,
    progress: Progress = silent,
    channel: int | None = None,
) -> tuple[int, int, list[Prediction]]:
    """Classify files and write a row for each: file, label, a probability for each label, error and remark.

    A model that tells what is none of its labels adds how unlike them each clip is (``unlike``).

    Rows are written one by one, in the order of the files. Files that have a row already are not read again: the same
    call after a stop, by whatever means, completes the file. A row that a kill has torn is written anew.

    Args:
        model: the model.
        paths: files, and folders of audio files.
        out: the file to write, or to complete.
        progress: called for every file that is read.
        channel: of several channels, take this one, from 1.

    Returns:
        how many files had a row before, how many rows were written, and of these the files that cannot be used.

    Raises:
        VoicefitError: a path does not exist or there is no audio file; or ``out`` is no file of predictions, has other
            labels, or is being written by another process.
    """
    files = list(dict.fromkeys(find_audio(paths)))
    columns = [*_BEFORE, *model.labels, *_AFTER, *(["unlike"] if model.novelty else [])]
    with _alone(out), _opened(out, columns) as (file, written):
        left = [path for path in files if _one_line(str(path)) not in written]
        unusable = []
        for found in model.iterate_files(left, progress, channel):
            file.write(_row(found, model))
            file.flush()
            if found.error:
                unusable.append(found)
    return len(files) - len(left), len(left), unusable


def _row(found: Prediction, model: Model) -> bytes:
    chances = [f"{found.probabilities[label]:.6f}" if found.probabilities else "" for label in model.labels]
    unlike = "" if found.unlike is None else f"{found.unlike:.4f}"
    return _line([found.file, found.label, *chances, found.error, found.remark, *([unlike] if model.novelty else [])])


def _one_line(cell: str) -> str:
    """The cell as the file has it; names of files need not be UTF-8."""
    return " ".join(cell.splitlines()).encode("utf-8", "backslashreplace").decode()


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV, each of them one line."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_one_line(cell) for cell in row] for row in rows)
    return text.getvalue()


def _line(cells: Sequence[str]) -> bytes:
    return csv_text([cells]).encode()


@contextlib.contextmanager
def _opened(out: Path, columns: Sequence[str]) -> Iterator[tuple[IO[bytes], set[str]]]:
    """Open the file at the end of its last whole row, and return the files that have one."""
    header = _line(columns)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a+b") as file:
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if whole and not whole.startswith(header):
            raise VoicefitError(f"{out}: exists and holds no predictions of these labels; choose another")
        if not whole and not header.startswith(content):
            raise VoicefitError(f"{out}: exists and holds no predictions; choose another")
        if len(whole) < len(content):  # torn by a kill
            file.truncate(len(whole))
        if not whole:
            file.write(header)
            file.flush()
        rows = csv.reader(io.StringIO(whole[len(header) :].decode("utf-8")))
        yield file, {row[0] for row in rows if row}
        os.fsync(file.fileno())


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold a lock beside the file, which the system releases even if the process is killed."""
    from filelock import FileLock, Timeout

    out.parent.mkdir(parents=True, exist_ok=True)
    lock: Any = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise VoicefitError(f"{out}: another process is writing it; wait for it, or choose another") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
