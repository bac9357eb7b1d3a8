"""How the seconds of one trial grow with shots, length and number of clips, and workers: what a larger plan will cost.

One thing is varied at a time; the others stay at k = 8, clips of 3 s, 24 test clips and one single-threaded worker.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.common import (
    LABELS,
    build_trial_jobs,
    build_wav2vec2_base,
    build_whisper_tiny,
    make_trials,
    parse_options,
    publish,
    trials_per_second,
    write_speakers,
)
from voicefit.adaptation import METHODS
from voicefit.corpora import Corpus, load_corpus
from voicefit.encoders import Encoder, FrontCache, Reading, load_encoder
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.trial import SpeakerBench, run_trial

DEPTH = 2
WHISPER, WAV2VEC2 = f"Whisper tiny, {DEPTH} layers", "wav2vec 2.0 Base, 1 layer"
K, SECONDS, TEST = 8, 3.0, 4  # of what is not varied; TEST clips of each label

Scene = tuple[Corpus, SpeakerBench]


def make_corpus(folder: Path, pool: int, test: int, seconds: float) -> Corpus:
    """Clips of ``seconds``, as many in every label's pool and test set as asked."""
    corpus = load_corpus("folder", write_speakers(folder, 1, pool + test, seconds=seconds))
    split = {f"{index:03}": "train" if index < pool else "test" for index in range(pool + test)}
    return replace(corpus, clips=tuple(replace(clip, split=split[clip.path.stem]) for clip in corpus.clips))


def make_scene(encoder: Encoder, corpus: Corpus, folder: Path) -> Scene:
    """A corpus and the bench of its speaker, whose clips are pooled."""
    bench = SpeakerBench.of(encoder, FrontCache(encoder, folder / "cache"), corpus, corpus.speakers[0])
    bench.pool(())
    return corpus, bench


def make_cases(folder: Path, quick: bool) -> Iterator[tuple[str, str, dict[Any, tuple[Scene, int]]]]:
    """What is varied, the architecture, and value → scene and k; lengths on wav2vec 2.0 too, where they matter."""
    ks, tests, lengths = ((2, K), (1, TEST), (0.5, 1)) if quick else ((2, 4, K, 16, 64), (1, TEST, 32), (1, 3, 5))
    whisper = load_encoder(build_whisper_tiny(folder / "whisper"), Reading(depth=DEPTH))
    wav2vec2 = load_encoder(build_wav2vec2_base(folder / "wav2vec2"), Reading(depth=1))
    of_tests = {test: make_corpus(folder / f"{test} test clips", max(ks) // 2, test, SECONDS) for test in tests}
    of_lengths = {length: make_corpus(folder / f"{length} s", K // 2, TEST, length) for length in lengths}
    scenes = {test: make_scene(whisper, corpus, folder) for test, corpus in of_tests.items()}
    yield "k", WHISPER, {k: (scenes[TEST], k) for k in ks}
    yield "test clips", WHISPER, {test * len(LABELS): (scene, K) for test, scene in scenes.items()}
    for name, encoder in ((WHISPER, whisper), (WAV2VEC2, wav2vec2)):
        yield "clip length, s", name, {s: (make_scene(encoder, corpus, folder), K) for s, corpus in of_lengths.items()}


def milliseconds(scene: Scene, method: PlannedMethod, k: int, seconds: float) -> float:
    """Median of the trials that fit in ``seconds``, one at least."""
    corpus, bench = scene
    trials = iter(make_trials(corpus, method.name, k))
    began, found = time.perf_counter(), []
    while not found or time.perf_counter() - began < seconds:
        found.append(run_trial(bench, next(trials), method)["seconds"])
    return 1000 * statistics.median(found)


def measure(folder: Path, methods: Mapping[str, PlannedMethod], quick: bool) -> Iterator[dict[str, Any]]:
    """Every varied thing in turn, for each method."""
    seconds = 0.2 if quick else 1.0
    for varied, architecture, values in make_cases(folder, quick):
        for name, method in methods.items():
            cost = {value: milliseconds(scene, method, k, seconds) for value, (scene, k) in values.items()}
            yield from make_rows(varied, architecture, name, cost)
    corpus = make_corpus(folder / "for workers", K // 2, TEST, SECONDS)
    jobs = build_trial_jobs(folder, corpus, methods, DEPTH)
    for name in [name for name in methods if name != "full"]:  # sweep_overhead.py has it
        cost = {}
        for workers in (1, 2):
            cost[workers] = 1000 / trials_per_second(jobs, name, K, workers, 3 * seconds)
        yield from make_rows("workers", WHISPER, name, cost)


def trained_layer_rows(folder: Path, quick: bool) -> Iterator[dict[str, Any]]:
    """`top-layers` on all of wav2vec 2.0 Base: what the layers below cost is paid once for all trials of a speaker."""
    depth, trained = (2, (1,)) if quick else (12, (1, 3))
    corpus = make_corpus(folder / "for layers", K // 2, TEST, 0.5 if quick else SECONDS)
    cost = {}
    for layers in trained:
        method = PlannedMethod(METHODS["top-layers"].configured(layers=layers))
        for name, upper_part in (
            ("", SpeakerBench.upper_part),
            (", those below heard anew", lambda bench, *others: bench),
        ):
            encoder = load_encoder(build_wav2vec2_base(folder / "deep", depth))
            with patch.object(SpeakerBench, "upper_part", upper_part):
                scene = make_scene(encoder, corpus, folder)
                milliseconds(scene, method, K, 0)
                cost[f"{layers}{name}"] = milliseconds(scene, method, K, 1)
    yield from make_rows("trained layers", f"wav2vec 2.0 Base, {depth} layers", "top-layers", cost)


def make_rows(varied: str, architecture: str, method: str, cost: Mapping[Any, float]) -> Iterator[dict[str, Any]]:
    """A row per value, with the ratio to the first."""
    first = next(iter(cost.values()))
    for value, found in cost.items():
        named = {"varied": varied, "value": value, "method": method, "architecture": architecture}
        yield {**named, "ms per trial": found, "ratio to the first value": found / first}


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    # Noise through random weights has gradients so small that trials take ten times as long.
    torch.set_flush_denormal(True)
    settings = {"head": {}, "full": {"steps": 2}} if options.quick else {"prototype": {}, "head": {}, "full": {}}
    methods = {name: PlannedMethod(METHODS[name].configured(**given)) for name, given in settings.items()}
    with tempfile.TemporaryDirectory() as name:
        rows = [*measure(Path(name), methods, options.quick), *trained_layer_rows(Path(name), options.quick)]
    steps = methods["full"].configured.settings.steps
    notes = [
        f"full takes {steps} steps of at most 8 shots, whatever k; prototype and head read vectors that were pooled "
        "before, so that the length of clips cannot matter. Whisper hears every clip as 5 s.",
        "Workers have the same trials; wall-clock ms per trial, from when each has finished one.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
