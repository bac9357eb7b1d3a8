"""By what should logits of `joint` be divided, so that confidence means what it says on voices of other corpora?

The temperature is 1 + √trust · (a + b / (1 + clips a label)), where trust is the weight that the mixture has beside the
first guess. For each target, a and b have the least calibration error on the voices of the *other* corpora, over both
encoders, 1 to 5 clips a label, and 30 or all of the voice's recordings without labels; each encoder and corpus counts
the same. What ships is chosen likewise, on all of them. The error is that of all voices of a corpus together, as in
experiments/temperature.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.common import parse_options, publish
from experiments.reject import encoders, taught
from experiments.temperature import Tested, error, log_loss
from voicefit.adaptation import Shots
from voicefit.adaptation.joint import joint_head, temperature, trust
from voicefit.adaptation.shots import OTHER
from voicefit.heads.prior import Prior
from voicefit.selection.ranking import PooledCorpus

SHOTS, RECORDINGS, DRAWS = (1, 2, 5), (30, 0), 2
"""0 is all of a voice."""

TASKS = ("several labels", "one from the rest")

GRID = np.exp(np.linspace(np.log(0.5), np.log(24), 60))
BEGIN = (1.0, 8.0)


@dataclass(frozen=True)
class Cell:
    """The voices of a corpus with so many clips a label and so many recordings.

    Attributes:
        task: several labels, or one from the rest.
        encoder: its name.
        target: the corpus.
        shots: clips a label.
        recordings: without labels; 0 for all.
        trust: of the mixture.
        given: shots, recordings and labels, means over the voices.
        together: calibration error of all voices at each temperature of GRID.
        each: mean of that of each voice, likewise.
        loss: log loss, likewise.
    """

    task: str
    encoder: str
    target: str
    shots: int
    recordings: int
    trust: float
    given: tuple[float, int, int]
    together: np.ndarray
    each: np.ndarray
    loss: np.ndarray

    def at(self, values: np.ndarray, temperature: float) -> float:
        """A value between those of the grid."""
        return float(np.interp(np.log(temperature), np.log(GRID), values))


def tested(prior: Prior, pooled: PooledCorpus, shots: int, recordings: int, task: str) -> Iterator[Tested]:
    """Undivided logits of every voice and draw of a corpus; one from the rest for every label."""
    names = np.array([str(clip.label) for clip in pooled.corpus.clips])
    speakers, vectors = np.array([clip.speaker for clip in pooled.corpus.clips]), pooled.vectors.numpy()
    for speaker, draw in product(pooled.corpus.speakers, range(DRAWS)):
        own, generator = speakers == speaker, np.random.default_rng([draw, shots])
        labels = [name for name in sorted(set(names[own])) if (own & (names == name)).sum() >= max(shots, 5) + 2]
        if len(labels) < 2:
            continue
        own &= np.isin(names, labels)
        for classes in [labels] if task == TASKS[0] else [[OTHER, name] for name in labels]:
            truth = np.array([classes.index(name) if name in classes else 0 for name in names])
            rows = np.concatenate(
                [generator.permutation(np.flatnonzero(own & (truth == one)))[:shots] for one in range(len(classes))]
            )
            others = np.setdiff1d(np.flatnonzero(own), rows)
            if recordings > len(others):
                continue
            more = vectors[generator.permutation(others)[: recordings or None]]
            labelled = {"labels": tuple(classes), "unlabelled": more, "prior": prior}
            head = joint_head(Shots(vectors[rows], [], truth[rows], len(classes), **labelled))
            yield head(vectors[others]).astype(np.float64), truth[others]


def cells(quick: bool) -> Iterator[Cell]:
    """All of them."""
    for name, encoder in encoders(quick):
        targets = taught(encoder, name, quick)
        for task, shots, recordings, corpus in product(TASKS, SHOTS, RECORDINGS, targets):
            prior, pooled = targets[corpus]
            voices = list(tested(prior, pooled, shots, recordings, task))
            if voices:
                given = recordings or round(np.mean([len(truth) for _, truth in voices]))
                several = round(np.mean([logits.shape[1] for logits, _ in voices]))
                labels = several if task == TASKS[0] else len(prior.labels)
                yield Cell(
                    task,
                    name,
                    corpus,
                    shots,
                    recordings,
                    trust(given, labels),
                    (shots, given, labels),
                    *(
                        np.array([measure(voices, one) for one in GRID])
                        for measure in (
                            lambda voices, one: error(voices, one, True),
                            lambda voices, one: error(voices, one, False),
                            log_loss,
                        )
                    ),
                )


def at(constants: Sequence[float], cell: Cell) -> float:
    """The temperature of a cell, on the grid."""
    found = 1 + cell.trust**0.5 * (constants[0] + constants[1] / (1 + cell.shots))
    return float(np.clip(found, GRID[0], GRID[-1]))


def mean_error(among: Sequence[Cell], temperatures: Sequence[float]) -> float:
    """The calibration error, a temperature a cell; each encoder and corpus counts the same."""
    groups = [(cell.encoder, cell.target) for cell in among]
    weights = np.array([1 / groups.count(group) for group in groups]) / len(set(groups))
    return float(weights @ [cell.at(cell.together, one) for cell, one in zip(among, temperatures, strict=True)])


def chosen(among: Sequence[Cell]) -> np.ndarray:
    """The constants with the least calibration error."""

    def loss(constants: np.ndarray) -> float:
        return mean_error(among, [at(constants, cell) for cell in among])

    return np.asarray(minimize(loss, BEGIN, method="Nelder-Mead").x)


def shipped(cell: Cell) -> float:
    """The temperature of a cell by the constants that ship."""
    return temperature(*cell.given, one_vs_rest=cell.task != TASKS[0])


def main() -> None:
    """A row per encoder, shots, recordings and target."""
    options = parse_options(__doc__)
    found, rows = list(cells(options.quick)), list[dict[str, Any]]()
    elsewhere = {
        (task, target): chosen([cell for cell in found if cell.task == task and cell.target != target])
        for task, target in product(TASKS, {cell.target for cell in found})
    }
    for cell in found:
        theirs = elsewhere[cell.task, cell.target]
        temperatures = {"1": 1.0, "of others": at(theirs, cell), "shipped": shipped(cell)}
        row = {"task": cell.task, "encoder": cell.encoder, "clips a label": cell.shots}
        row |= {"recordings": cell.recordings or "all", "target": cell.target}
        row |= {"constants of others": "{:.1f}, {:.1f}".format(*theirs)}
        for name, one in temperatures.items():
            row |= {
                f"T {name}": f"{one:.1f}",
                f"error, T {name}": f"{cell.at(cell.together, one):.3f}",
                f"error of a voice, T {name}": f"{cell.at(cell.each, one):.3f}",
                f"log loss, T {name}": f"{cell.at(cell.loss, one):.3f}",
            }
        rows.append(row)
    publish(rows, options, [note([cell for cell in found if cell.task == task]) for task in TASKS])


def note(of_task: Sequence[Cell]) -> str:
    """What all corpora would choose, and how much less its error is than that of what ships."""
    best = chosen(of_task)
    errors = [mean_error(of_task, [one(cell) for cell in of_task]) for one in (shipped, lambda cell: at(best, cell))]
    constants = "{:.2f}, {:.2f}".format(*best)
    return f"{of_task[0].task}: the error is {errors[0]:.4f} with what ships and {errors[1]:.4f} with {constants}."


if __name__ == "__main__":
    main()
