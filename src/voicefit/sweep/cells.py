"""The cells of a grid: those that a target has clips for, and the others with the reason."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from voicefit.corpora import Corpus
from voicefit.errors import VoicefitError
from voicefit.sweep.episodes import ONE_VS_REST, SpeakerEpisodes


class Cell(NamedTuple):
    """What the trials of all starting points and methods share: a task on one draw of a speaker's clips."""

    target: str
    speaker: str
    task: str
    label: str
    k: int
    draw: int


@dataclass(frozen=True)
class NotRun:
    """Cells that are not run for one reason: every combination of what the lists name.

    Attributes:
        target: the target corpus.
        task: ``one-vs-rest`` or ``multiclass``.
        speakers: of the target.
        labels: what is told from the rest; one that is empty for ``multiclass``.
        k: numbers of support clips.
        draws: numbers of the draws; empty where the reason holds for all of the grid.
        reason: why there is no trial.
    """

    target: str
    task: str
    speakers: tuple[str, ...]
    labels: tuple[str, ...]
    k: tuple[int, ...]
    draws: tuple[int, ...]
    reason: str

    def words(self) -> str:
        """Return a line for a person."""
        task = self.task + (f" of {', '.join(self.labels)}" if any(self.labels) else "")
        shots = f"k = {', '.join(map(str, self.k))}"
        some = f", draw {', '.join(map(str, self.draws))}" if self.draws else ""
        return f"{self.target}/{', '.join(self.speakers)}, {task}, {shots}{some}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json``."""
        return asdict(self)


@dataclass(frozen=True)
class Cells:
    """The cells of a grid.

    Attributes:
        run: those that there are clips for.
        not_run: the others, in as few groups as they fill.
    """

    run: list[Cell]
    not_run: list[NotRun]


def find_cells(
    tasks: Sequence[str],
    shots: Sequence[int],
    draws: int,
    speakers: Sequence[str] | None,
    labels: Sequence[str] | None,
    targets: Iterable[tuple[Corpus, Corpus]],
    held_out: bool,
) -> Cells:
    """Sort the cells of a grid.

    Args:
        tasks: the grid's.
        shots: its numbers of support clips.
        draws: its number of draws.
        speakers: those that it is about; ``None`` is all.
        labels: likewise.
        targets: each target with the clips that can be used, and with all its clips.
        held_out: whether episodes come with validation clips.
    """
    run: list[Cell] = []
    not_run: list[NotRun] = []
    for usable, whole in targets:
        named = [label for label in whole.labels if labels is None or label in labels]
        for speaker in whole.speakers:
            if speakers is None or speaker in speakers:
                for reason, cells in _by_reason(usable, speaker, _combinations(tasks, named, shots), draws, held_out):
                    if reason:
                        not_run.append(_not_run(reason, cells, draws))
                    else:
                        run += cells
    for field in ("k", "labels", "speakers"):
        not_run = _merged(not_run, field)
    return Cells(run, not_run)


def _combinations(tasks: Sequence[str], labels: Sequence[str], shots: Sequence[int]) -> Iterator[tuple[str, str, int]]:
    for task in tasks:
        for label, k in product(labels if task == ONE_VS_REST else [""], shots):
            yield task, label, k


def _by_reason(
    target: Corpus, speaker: str, combinations: Iterable[tuple[str, str, int]], draws: int, held_out: bool
) -> Iterator[tuple[str, list[Cell]]]:
    """Yield the draws of a speaker, label and k that share a reason, which is empty where there are trials."""
    try:
        episodes, fault = SpeakerEpisodes(target, speaker, validation=held_out), ""
    except VoicefitError:
        episodes, fault = None, "one label alone" if speaker in target.speakers else "no clip that can be used"
    for task, label, k in combinations:
        reasons: dict[str, list[Cell]] = {}
        for draw in range(draws):
            reason = episodes.why_not(task, label, k, draw) if episodes else fault
            reasons.setdefault(reason, []).append(Cell(target.name, speaker, task, label, k, draw))
        yield from reasons.items()


def _not_run(reason: str, cells: Sequence[Cell], draws: int) -> NotRun:
    first = cells[0]
    some = tuple(cell.draw for cell in cells) if len(cells) < draws else ()
    return NotRun(first.target, first.task, (first.speaker,), (first.label,), (first.k,), some, reason)


def _merged(groups: Iterable[NotRun], field: str) -> list[NotRun]:
    """Put groups together that differ in this field alone."""
    together: dict[Hashable, list[NotRun]] = defaultdict(list)
    for group in groups:
        together[tuple(value for name, value in vars(group).items() if name != field)].append(group)
    return [_joined(parts, field) for parts in together.values()]


def _joined(parts: Sequence[NotRun], field: str) -> NotRun:
    values: dict[str, Any] = {field: tuple(dict.fromkeys(value for part in parts for value in getattr(part, field)))}
    return replace(parts[0], **values)
