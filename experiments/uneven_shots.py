"""Does one more clip ever cost more than noise, where some labels have a clip more than others?

Several emotions at once, from one clip each; then clips are added one by one, so that one label after the other has its
second, and then its third. Whisper tiny.en is read after layer 2; the corpora teach as in :mod:`experiments.joint`.
A clip that gets a label was among the recordings before. Rows "unweighted" are the methods as they were before each
label counted the same: every clip counts the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.joint import Voice, fitted, scored, taught_voices
from voicefit.adaptation import Shots
from voicefit.report.statistics import cell_means, holm, tested_means
from voicefit.report.text import interval, p_value, signed

ADDED = 8
"""Clips beyond one an emotion."""

DRAWS = 20
CELL = ["target", "method", "added"]


@contextmanager
def unweighted() -> Iterator[None]:
    """The methods as they were: a label counts by its clips."""
    with patch.object(Shots, "importance", lambda shots: np.ones(len(shots.targets))):
        yield


def rows_of(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """A row per number of clips, draw and method; draws that have not clips enough for all numbers are left out."""
    size = len(voice.episodes.labels)
    for draw in range(draws):
        episodes = [voice.episodes.multiclass(size + added, draw) for added in range(ADDED + 1)]
        for added, episode in enumerate(episodes if all(episodes) else []):
            assert episode is not None
            more = voice.recordings(episode, draw)
            conditions = {
                "head": ("head", []),
                "prototype": ("prototype", []),
                "prior": ("prior", []),
                "prior, all recordings": ("prior", more),
                "joint, all recordings": ("joint", more),
            }
            for words, (method, clips) in conditions.items():
                found = scored(voice, episode, fitted(voice, method, episode, clips))
                yield {"method": words, "added": added, "draw": draw, "macro_f1": found["macro_f1"]}
            with unweighted():
                for words in ("head", "prior"):
                    found = scored(voice, episode, fitted(voice, words, episode, []))
                    yield {"method": f"{words}, unweighted", "added": added, "draw": draw, **found}


def gains(trials: pd.DataFrame) -> pd.DataFrame:
    """What each clip brings, paired over speakers and draws, with its test, corrected for the steps of a method."""
    keys = ["target", "method", "speaker", "label", "draw"]
    before = trials.assign(added=trials["added"] + 1).rename(columns={"macro_f1": "base"})
    paired = trials[[*keys, "added", "macro_f1"]].merge(before[[*keys, "added", "base"]], on=[*keys, "added"])
    paired["gain"] = paired["macro_f1"] - paired["base"]
    cells = tested_means(paired, CELL, "gain")
    cells["holm"] = cells.groupby(CELL[:2])["p_t"].transform(lambda p: holm(p))
    return cells


def table(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Two rows per target and method: macro F1 by clips added, and what each clip brought."""
    means, steps = cell_means(trials, CELL), gains(trials)
    rows = []
    for target, method in trials[CELL[:2]].drop_duplicates().itertuples(index=False):
        own = means[(means["target"] == target) & (means["method"] == method)]
        step = steps[(steps["target"] == target) & (steps["method"] == method)]
        worst = step.loc[step["gain"].idxmin()]
        words = f"{_gain(*worst[['gain', 'low', 'high']])}, {p_value(worst['holm'])}"
        cells = {f"+{added}": f"{value:.3f}" for added, value in zip(own["added"], own["macro_f1"], strict=True)}
        rows.append({"target": target, "method": method, "score": "macro F1", **cells, "worst step": words})
        cells = {
            f"+{added}": _gain(*gain) for added, *gain in step[["added", "gain", "low", "high"]].itertuples(index=False)
        }
        rows.append({"target": target, "method": method, "score": "gain by the last clip", **cells})
    return rows


def _gain(gain: float, low: float, high: float) -> str:
    return f"{signed(gain, 3)} {interval(low, high, 3, sign=True)}".strip()


def main() -> None:
    """Means over speakers of their means over draws; intervals and tests over speakers."""
    options = parse_options(__doc__)
    rows: list[dict[str, Any]] = []
    speakers: dict[str, int] = {}
    for target, found in taught_voices(options.quick):
        for voice in found:
            own = list(rows_of(voice, 2 if options.quick else DRAWS))
            rows += [{"target": target, "speaker": voice.episodes.speaker, "label": "", **row} for row in own]
            speakers[target] = speakers.get(target, 0) + bool(own)
    notes = [
        "Columns: clips added to one an emotion, one by one. Intervals are 95 % over speakers and draws; p of the "
        "worst step is corrected for the steps of that method.",
        "Speakers with clips enough: " + ", ".join(f"{target} {count}" for target, count in speakers.items()) + ".",
    ]
    publish(table(pd.DataFrame(rows)), options, notes)


if __name__ == "__main__":
    main()
