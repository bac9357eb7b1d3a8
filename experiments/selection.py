"""Do the scores of `voicefit select`, and others, predict which corpora help a voice? Correlation with measured gains.

VOICEFIT_DATA and VOICEFIT_MODELS name the folders that hold the corpora and the encoders. Each corpus in turn plays the
target and the others, in all their subsets, the candidates; method `prior` on the untouched encoder is scored here.
Where VOICEFIT_RUNS names a folder with the sweeps `nemo`, `nemo-prior` and `unseen-language`, their gains too.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import bootstrap, kendalltau, spearmanr

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from experiments.transferability import TITLES, transferability
from voicefit.adaptation import find_method
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, FrontCache, Reading, load_encoder
from voicefit.heads.prior import Prior
from voicefit.report.statistics import finished, pair
from voicefit.selection.ranking import SCORES, PooledCorpus, judge, learn_together, pool_corpora, promise
from voicefit.sweep.episodes import ONE_VS_REST, SpeakerEpisodes
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial

SPEAKERS = 7  # of a target at most, in the order of their names
SHOTS = (2, 8)
TRIAL_DRAWS, CLIP_DRAWS = 3, 2
PER_LABEL = 2  # clips of the few that a user would have
SCORE_TITLES = {**{name: score.title for name, score in SCORES.items()}, **TITLES}
SIZE, ORDER = "number of corpora", "number of corpora, then zero-shot"

SWEEPS = (("nemo", "layer-1", 1), ("nemo-prior", "heads-only", 2), ("unseen-language", "layer-1", 1))
"""Run, its encoder, and the depth at which that reads."""

Start = tuple[str, ...]


@dataclass
class Laboratory:
    """An encoder cut at a depth, what it hears of each corpus, and what corpora teach together."""

    depth: int
    names: Sequence[str]

    @cached_property
    def encoder(self) -> Encoder:
        """Untouched; all of it belongs to the cached front end."""
        return load_encoder(
            folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=self.depth, frozen_layers=self.depth)
        )

    @cached_property
    def pooled(self) -> dict[str, PooledCorpus]:
        """By name."""
        loaded = [load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]) for name in self.names]
        return {part.corpus.name: part for part in pool_corpora(self.encoder, loaded)[0]}

    @cached_property
    def _priors(self) -> dict[frozenset[str], Prior]:
        return {}

    def group(self, start: Start) -> list[PooledCorpus]:
        """The corpora of a start."""
        return [self.pooled[name] for name in start]

    def prior(self, start: Start) -> Prior:
        """What they teach, learnt once."""
        key = frozenset(start)
        if key not in self._priors:
            self._priors[key] = learn_together(self.group(start))
        return self._priors[key]

    def voice(self, target: str, clips: Sequence[Clip]) -> PooledCorpus:
        """Some clips of a target."""
        whole = self.pooled[target]
        rows = {clip.id: row for row, clip in enumerate(whole.corpus.clips)}
        vectors = whole.vectors[[rows[clip.id] for clip in clips]]
        return PooledCorpus(replace(whole.corpus, clips=tuple(clips)), vectors)

    def speakers(self, target: str) -> list[str]:
        """Those of a target that are looked at."""
        return self.pooled[target].corpus.speakers[:SPEAKERS]


def subsets(names: Sequence[str]) -> list[Start]:
    """All that are not empty."""
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def measure_gains(laboratory: Laboratory, target: str, starts: Sequence[Start]) -> Iterator[dict[str, Any]]:
    """Macro F1 of method `prior` from each start: its differences are those of gains over any common baseline."""
    method = PlannedMethod(find_method("prior").configured())
    corpus = laboratory.pooled[target].corpus
    for speaker in laboratory.speakers(target):
        bench = SpeakerBench.of(laboratory.encoder, FrontCache(laboratory.encoder), corpus, speaker)
        for start, label, k, draw in product(starts, bench.episodes.labels, SHOTS, range(TRIAL_DRAWS)):
            if bench.episodes.one_vs_rest(label, k, draw) is None:
                continue
            bench.prior = laboratory.prior(start)
            name = "+".join(start)
            place = (WHISPER_TINY, name, "", target, "clean", ONE_VS_REST, "prior", "", speaker, label, k, draw, 0)
            result = run_trial(bench, TrialSpec(*place), method)
            yield {"method": "prior", "speaker": speaker, "start": start, "k": k, "gain": result["macro_f1"]}


def read_gains(run: Path, encoder: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each target of a sweep, and the gains there; macro F1 where the method has no start without corpora."""
    with RunDirectory(run).open_store() as store:
        trials = finished(store.trials())
    trials = trials[(trials["encoder"] == encoder) & trials["method"].isin(["head", "prototype", "prior"])]
    for target, mine in trials.groupby("target"):
        alone = mine[mine["method"].isin(mine.loc[mine["start"] == NONE, "method"])]
        other = mine[~mine["method"].isin(alone["method"])].assign(gain=lambda table: table["macro_f1"])
        gains = pd.concat([part for part in (pair(alone) if len(alone) else alone, other) if len(part)])
        gains = gains[(gains["start"] != NONE) & gains["k"].isin(SHOTS)]
        yield str(target), gains.assign(start=gains["start"].str.split("+").map(tuple))


def score_starts(laboratory: Laboratory, target: str, starts: Sequence[Start]) -> pd.DataFrame:
    """A row per speaker, set of clips and start: all scores. No test clip is looked at."""
    rows = []
    for speaker in laboratory.speakers(target):
        episodes = SpeakerEpisodes(laboratory.pooled[target].corpus, speaker)
        k = PER_LABEL * len(episodes.labels)
        few = [episodes.multiclass(k, draw) for draw in range(CLIP_DRAWS)]
        sets = [(str(PER_LABEL), draw, episode.support) for draw, episode in enumerate(few) if episode]
        sets.append(("all", 0, tuple(clip for clips in episodes.pool.values() for clip in clips)))
        for (clips, draw, support), start in product(sets, starts):
            candidate = laboratory.group(start), laboratory.prior(start), laboratory.voice(target, support)
            found = judge(*candidate)
            values = {**found.scores, **transferability(*candidate)}
            scores = {title: values[name] for name, title in SCORE_TITLES.items()}
            scores["A-distance"] *= -1
            about = {"speaker": speaker, "clips a label": clips, "draw": draw, "start": start}
            rows.append({**about, **scores, SIZE: len(start), ORDER: promise(found)})
    table = pd.DataFrame(rows)
    table[ORDER] = table[ORDER].rank(method="dense")
    return table


def correlate(scores: pd.DataFrame, gains: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Per score: correlations over starts, averaged over draws and then speakers, and what the score's choice costs."""
    mean = gains.groupby(["speaker", "start"], as_index=False)["gain"].mean()
    joined = scores.merge(mean, on=["speaker", "start"])
    for clips, part in joined.groupby("clips a label"):
        for score in (*SCORE_TITLES.values(), SIZE, ORDER):
            by = part.groupby(["speaker", "draw"])
            each = by[[score, "gain"]].apply(_agreement, score=score).groupby("speaker").mean()
            low, high = bootstrap((each["spearman"],), np.mean, method="percentile", rng=0).confidence_interval
            yield {
                "clips a label": clips,
                "score": score,
                "starts": part["start"].nunique(),
                "speakers": len(each),
                "Spearman": f"{each['spearman'].mean():.2f} [{low:.2f}, {high:.2f}]",
                "Kendall": float(round(each["kendall"].mean(), 2)),
                "pooled Spearman": float(round(_defined(spearmanr, part[score], part["gain"]), 2)),
                "F1 lost by its choice": f"{each['lost'].mean():.3f}",
                "by any choice": f"{each['spread'].mean():.3f}",
            }


def _agreement(table: pd.DataFrame, score: str) -> pd.Series:
    """Of one voice's starts; equal scores share what they lose."""
    best = table["gain"].max()
    chosen = table.loc[table[score] == table[score].max(), "gain"].mean()
    return pd.Series(
        {
            "spearman": _defined(spearmanr, table[score], table["gain"]),
            "kendall": _defined(kendalltau, table[score], table["gain"]),
            "lost": best - chosen,
            "spread": best - table["gain"].mean(),
        }
    )


def _defined(correlation: Any, scores: pd.Series, gains: pd.Series) -> float:
    """0 for a score that says the same of every start."""
    return float(correlation(scores, gains).statistic) if scores.nunique() > 1 else 0.0


def evaluate(names: Sequence[str], runs: Path | None) -> Iterator[dict[str, Any]]:
    """All rows of the table."""
    for run, encoder, depth in SWEEPS if runs else ():
        laboratory = Laboratory(depth, names)
        for target, gains in read_gains(runs / run, encoder):
            scores = score_starts(laboratory, target, list(dict.fromkeys(gains["start"])))
            yield from _rows({"measured": run, "target": target}, scores, gains)
    laboratory = Laboratory(2, names)
    for target in names:
        starts = subsets([name for name in names if name != target])
        scores = score_starts(laboratory, target, starts)
        yield from _rows({"measured": "here", "target": target}, scores, measure_gains(laboratory, target, starts))


def _rows(about: Mapping[str, str], scores: pd.DataFrame, gains: Any) -> Iterator[dict[str, Any]]:
    gains, sizes = pd.DataFrame(gains), scores["start"].map(len)
    for method, mine in gains.groupby("method"):
        for which, part in {"all": scores, "single": scores[sizes == 1]}.items():
            for row in correlate(part, mine):
                yield {**about, "method": method, "candidates": which, **row}


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    runs = os.environ.get("VOICEFIT_RUNS")
    names = ["tess", "emodb", "emovo"] if options.quick else list(FOLDERS)
    rows = list(evaluate(names, Path(runs) if runs and not options.quick else None))
    notes = [
        f"Whisper tiny.en; at most {SPEAKERS} speakers a target; mean gain at k = {' and '.join(map(str, SHOTS))}; "
        f"{CLIP_DRAWS} draws of {PER_LABEL} clips a label, or all clips that are not for testing. "
        "Correlations are over the candidates of one speaker, with 95 % intervals over speakers; lost is macro F1 "
        "below that of the best candidate.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
