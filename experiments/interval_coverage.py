"""How often a report's 95 % intervals hold the mean of all speakers, on scores drawn from a known distribution.

A score is a speaker's own level, that of an emotion in this speaker, and that of a draw, all normal, around an
emotion's level that is the same for everyone. Three ways to an interval: the hierarchical bootstrap of
the reports (`voicefit.report.bootstrap`), the bootstrap of speakers' means, and Student's interval of speakers' means.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import parse_options, publish
from voicefit.report.bootstrap import LEVEL, resampled_means

EMOTIONS, DRAWS = 6, 10
SPEAKERS = (2, 4, 7, 10, 24)
SPREADS = {
    "gain, k = 2": (0.0, 0.05, 0.14),
    "macro F1, k = 2": (0.0, 0.08, 0.12),
    "macro F1, k = 16": (0.04, 0.08, 0.05),
    "unlike speakers": (0.08, 0.03, 0.06),
}
"""Standard deviations of speakers, emotions within speakers and draws; the first three are those of the run `nemo`
with `head`, from an analysis of variance, and the last is made up."""


def scores(speakers: int, spread: tuple[float, float, float], runs: int) -> np.ndarray:
    """Scores around a mean of 0, (runs, speakers, emotions, draws)."""
    generator = np.random.default_rng(speakers)
    parts = [(runs, speakers, 1, 1), (runs, speakers, EMOTIONS, 1), (runs, speakers, EMOTIONS, DRAWS)]
    made = sum(generator.normal(0, sd, shape) for sd, shape in zip(spread, parts, strict=True))
    emotion = generator.normal(0, 0.05, EMOTIONS)
    return made + (emotion - emotion.mean())[:, None]


def bootstrap(values: np.ndarray, shape: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Low and high, (2, runs)."""
    tail = 100 * (1 - LEVEL) / 2
    return np.percentile(resampled_means(values, shape), [tail, 100 - tail], axis=1)


def students(means: np.ndarray) -> np.ndarray:
    """Low and high, (2, runs)."""
    reach = stats.t.ppf(0.5 + LEVEL / 2, means.shape[1] - 1) * means.std(1, ddof=1) / np.sqrt(means.shape[1])
    return means.mean(1) + np.array([[-1.0], [1.0]]) * reach


def rows(quick: bool) -> Iterator[dict[str, Any]]:
    """A row per number of speakers and spread: the share of intervals that hold 0, and their mean width."""
    runs = 100 if quick else 2000
    for speakers in SPEAKERS:
        for name, spread in SPREADS.items():
            values = scores(speakers, spread, runs)
            means = values.mean(axis=(2, 3))
            ways = {
                "hierarchical": bootstrap(values.reshape(runs, -1), ((DRAWS,) * EMOTIONS,) * speakers),
                "speakers": bootstrap(means, ((1,),) * speakers),
                "Student": students(means),
            }
            yield {
                "speakers": speakers,
                "spread as of": name,
                **{f"{way} covers": float(((low <= 0) & (high >= 0)).mean()) for way, (low, high) in ways.items()},
                **{f"{way} width": float((high - low).mean()) for way, (low, high) in ways.items()},
            }


if __name__ == "__main__":
    options = parse_options(__doc__)
    publish(list(rows(options.quick)), options)
