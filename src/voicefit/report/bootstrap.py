"""Intervals of means over speakers, emotions and draws by the hierarchical bootstrap."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt
import pandas as pd

LEVEL = 0.95
"""Intervals contain the mean with this probability."""

RESAMPLES = 2000
"""So many resamples are drawn."""

SEED = 20230212
"""The seed of the resamples: the same trials give the same intervals."""

PICKS_PER_CHUNK = 2_000_000
"""Resamples are drawn in chunks of about so many picks, which bounds the memory."""

Shape = tuple[tuple[int, ...], ...]
"""The number of draws of each emotion of each speaker."""


def bootstrap_intervals(trials: pd.DataFrame, by: list[str], value: str) -> npt.NDArray[np.float64]:
    """Compute percentile intervals of the mean over speakers in each cell, by the hierarchical bootstrap.

    A resample picks speakers, then emotions of each picked speaker, then draws of each picked emotion, all with
    replacement (Saravanan, Berman & Sober 2020, "Application of the hierarchical bootstrap to multi-level data
    in neuroscience"). Speakers alone give intervals that are too narrow where speakers are few: see
    `experiments/interval_coverage.py`. Trials that differ in anything but speaker, emotion and draw (seed, starting
    point) are averaged first. Cells of one shape share their resamples, so their intervals can be compared.

    Args:
        trials: one row a trial, without failures, with `speaker`, `label`, `draw` and `value`.
        by: the columns that make a cell.
        value: the column to average.

    Returns:
        (cells, 2): low and high at 95 %, cells sorted by `by`; NaN for a single speaker.
    """
    # It has another name, since `by` may contain the label.
    trials = trials.assign(emotion=trials["label"])
    draws = trials.groupby([*by, "speaker", "emotion", "draw"])[value].mean()
    shapes = _shapes(draws, by)
    sizes = [sum(map(sum, shape)) for shape in shapes]
    values = np.split(draws.to_numpy(dtype=float), np.cumsum(sizes)[:-1])
    cells_of = defaultdict(list)
    for cell, shape in enumerate(shapes):
        cells_of[shape].append(cell)
    intervals = np.full((len(shapes), 2), np.nan)
    tail = 100 * (1 - LEVEL) / 2
    for shape, cells in cells_of.items():
        if len(shape) > 1:
            means = resampled_means(np.stack([values[cell] for cell in cells]), shape)
            intervals[cells] = np.percentile(means, [tail, 100 - tail], axis=1).T
    return intervals


def _shapes(draws: pd.Series, by: list[str]) -> list[Shape]:
    """Return the shape of each cell of `draws`, which is indexed by `by`, speaker, emotion and draw."""
    sizes = draws.groupby([*by, "speaker", "emotion"]).size().reset_index(name="draws")
    cells = sizes.groupby(by).ngroup().tolist()
    shapes: list[dict[str, list[int]]] = [{} for _ in range(max(cells, default=-1) + 1)]
    for cell, speaker, count in zip(cells, sizes["speaker"], sizes["draws"].tolist(), strict=True):
        shapes[cell].setdefault(speaker, []).append(count)
    return [tuple(map(tuple, shape.values())) for shape in shapes]


def resampled_means(values: npt.NDArray[np.float64], shape: Shape) -> npt.NDArray[np.float64]:
    """Compute the means over speakers of `RESAMPLES` hierarchical resamples.

    Args:
        values: (cells, draws): speaker by speaker, emotion by emotion.
        shape: the shape of every cell.

    Returns:
        (cells, `RESAMPLES`).
    """
    generator = np.random.default_rng(SEED)
    chunk = max(1, PICKS_PER_CHUNK // (len(shape) * max(map(len, shape)) * max(map(max, shape))))
    parts = []
    for start in range(0, RESAMPLES, chunk):
        parts.append(values @ _weights(shape, min(chunk, RESAMPLES - start), generator).T)
    return np.concatenate(parts, axis=1)


def _weights(shape: Shape, resamples: int, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the weight of each draw in each resample; (resamples, draws), rows sum to 1."""
    speakers, most_labels = len(shape), max(map(len, shape))
    labels = np.array([len(draws) for draws in shape])
    draws = np.array([[*counts, *[0] * (most_labels - len(counts))] for counts in shape])
    first = np.concatenate([[0], np.cumsum(draws.ravel())[:-1]]).reshape(draws.shape)

    speaker = generator.integers(0, speakers, (resamples, speakers))
    label = (generator.random((resamples, speakers, most_labels)) * labels[speaker][..., None]).astype(np.int64)
    among = draws[speaker[..., None], label]
    draw = (generator.random((*label.shape, draws.max())) * among[..., None]).astype(np.int64)
    # Picks beyond the number of a speaker's emotions or of an emotion's draws do not count.
    picked = (np.arange(most_labels) < labels[speaker][..., None])[..., None] & (
        np.arange(draws.max()) < among[..., None]
    )
    share = picked / (speakers * picked.sum(axis=(2, 3), keepdims=True))

    trial = first[speaker[..., None], label][..., None] + draw
    place = np.arange(resamples)[:, None, None, None] * draws.sum() + trial
    weights = np.bincount(place.ravel(), weights=share.ravel(), minlength=resamples * draws.sum())
    return weights.astype(np.float64).reshape(resamples, -1)
