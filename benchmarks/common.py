"""What the benchmarks share: options, clips and encoders to measure on, timing, and one table at the end.

Experiments take their options and their table from here.

Encoders have real architectures and random weights, and clips are noise as long as real ones: neither changes what
a step costs, so that every benchmark runs on any machine with one command.
"""

import argparse
import contextlib
import json
import multiprocessing
import resource
import shlex
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import soundfile
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from voicefit.adaptation import published
from voicefit.audio import SAMPLE_RATE
from voicefit.corpora import Corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.encoders.load import quiet_transformers
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.jobs import Outcome, each_record
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs, run_trials
from voicefit.system.machine import describe_machine, describe_versions

LABELS = ("anger", "fear", "happiness", "neutral", "sadness", "surprise")

EVERY_CLIP = 10**9
"""Validation clips at once, so that all are heard in every epoch."""


@dataclass(frozen=True)
class Options:
    """What every benchmark and experiment takes on its command line."""

    quick: bool
    json: Path | None
    only: list[str] = field(default_factory=list)


def parse_options(description: str | None, parts: Collection[str] = ()) -> Options:
    """Read ``--quick``, ``--json FILE`` and, of a script that has parts, ``--only PART``."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute, on a smaller case: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    if parts:
        parser.add_argument("--only", action="append", default=[], choices=parts, help="run this part; may be repeated")
    return Options(**vars(parser.parse_args()))


def publish(rows: Sequence[Mapping[str, Any]], options: Options, notes: Sequence[str] = ()) -> None:
    """Print one Markdown table, what it was measured on and how, and write all of it as JSON where asked."""
    machine, versions = describe_machine(), describe_versions()
    module = sys.modules["__main__"].__spec__  # of ``python -m``
    command = shlex.join(["python", *(["-m", module.name] if module else sys.argv[:1]), *sys.argv[1:]])
    date = datetime.now(UTC).date().isoformat()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, ["---"] * len(columns), *([_text(row.get(column, "")) for column in columns] for row in rows)]
    print("\n".join("| " + " | ".join(line) + " |" for line in cells))
    about = f"{machine['processor']}, {torch.get_num_threads()} threads, {machine['gpu'] or 'no GPU'}"
    packages = ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers"))
    print("", *notes, f"{command} · {date} · {about} · {packages}", sep="\n")
    if options.json:
        result = {"command": command, "date": date, "machine": machine, "versions": versions}
        options.json.write_text(json.dumps({**result, "notes": list(notes), "rows": list(rows)}, indent=2) + "\n")


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def seconds_of(action: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call, and of what it left a GPU to do."""
    began = time.perf_counter()
    action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def median_seconds(action: Callable[[], Any], rounds: int = 5) -> float:
    """Median wall-clock seconds of a call, after one that is not counted."""
    action()
    return statistics.median(seconds_of(action) for _ in range(rounds))


def alternate(actions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Call each in turn, ``rounds`` times over, so that all see the same moods of the machine."""
    results: dict[str, list[Any]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            results[name].append(action())
    return results


def in_own_process(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Run a module-level function in a fresh process; its result and peak memory in MB, a GPU's where there is one."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        raise SystemExit(f"{function.__name__} failed in its own process, see above") from None
    finally:
        process.join()


def _report(pipe: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    result = function(*arguments)
    pipe.send((result, torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else _peak_memory()))


def _peak_memory() -> float:
    """Of this process, in MB. Linux counts what the process held that started this one in ``ru_maxrss`` too."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def waveforms(count: int, seed: int = 0, seconds: float | None = None) -> list[np.ndarray]:
    """Noise, ``float32 (samples,)`` at 16 kHz, each ``seconds`` long.

    Left out, lengths are those of nEMO's clips: log-normal, median 2.3 s, 5 % below 1.5 s and 5 % above 3.5 s.
    """
    generator = np.random.default_rng(seed)
    lengths = (
        np.exp(generator.normal(np.log(2.3), 0.25, count)).clip(0.5, 5.0) if seconds is None else [seconds] * count
    )
    return [0.1 * generator.standard_normal(round(length * SAMPLE_RATE), dtype=np.float32) for length in lengths]


def write_speakers(folder: Path, speakers: int, clips_per_label: int, seconds: float | None = None) -> Path:
    """A corpus of the layout ``<speaker>/<label>/<clip>.flac``, six labels; ``seconds`` as in :func:`waveforms`."""
    for speaker in range(speakers):
        clips = iter(waveforms(clips_per_label * len(LABELS), speaker, seconds))
        for label in LABELS:
            place = folder / f"s{speaker}" / label
            place.mkdir(parents=True)
            for index in range(clips_per_label):
                soundfile.write(place / f"{index:03}.flac", next(clips), SAMPLE_RATE)
    return folder


def write_esd_speaker(folder: Path, clips: tuple[int, int, int], seconds: float | None = None) -> Path:
    """A table of one speaker's clips in ESD's splits: so many to train, validate and test, of each of five emotions.

    ``seconds`` is as in :func:`waveforms`.
    """
    rows, audio = ["path,speaker,label,split"], iter(waveforms(5 * sum(clips), seconds=seconds))
    for label in LABELS[:5]:
        for split, count in zip(("train", "validation", "test"), clips, strict=True):
            for index in range(count):
                name = f"{label}-{split}-{index}.flac"
                soundfile.write(folder / name, next(audio), SAMPLE_RATE)
                rows.append(f"{name},0011,{label},{split}")
    table = folder / "clips.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def build_wav2vec2_base(folder: Path, layers: int = 12) -> Path:
    """The architecture of ``facebook/wav2vec2-base``: 94 M parameters, random weights, no SpecAugment or layerdrop."""
    config = Wav2Vec2Config(num_labels=2, num_hidden_layers=layers, apply_spec_augment=False, layerdrop=0.0)
    _save(Wav2Vec2ForSequenceClassification, config, folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False, do_normalize=True).save_pretrained(folder)
    return folder


def build_small(folder: Path) -> Path:
    """wav2vec 2.0 with 32 channels and one layer, random weights: what an encoder costs besides its computations."""
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": (32,) * 7}
    positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    config = Wav2Vec2Config(num_labels=2, num_hidden_layers=1, apply_spec_augment=False, layerdrop=0.0)
    config.update({**small, **positions})
    _save(Wav2Vec2ForSequenceClassification, config, folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False, do_normalize=True).save_pretrained(folder)
    return folder


def build_whisper_tiny(folder: Path, seconds: int = 5) -> Path:
    """The architecture of the encoder of ``openai/whisper-tiny.en``, ``seconds`` of positions, random weights."""
    config = WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536)
    config.update({"max_source_positions": 50 * seconds, "decoder_layers": 1, "num_labels": 2})
    _save(WhisperForAudioClassification, config, folder)
    WhisperFeatureExtractor(chunk_length=seconds).save_pretrained(folder)
    return folder


ARCHITECTURES = {"wav2vec 2.0 Base": build_wav2vec2_base, "Whisper tiny": build_whisper_tiny}


def build_trial_jobs(folder: Path, corpus: Corpus, methods: Mapping[str, PlannedMethod], depth: int) -> TrialJobs:
    """What single-threaded trials on Whisper tiny need: the encoder written, the corpus in the front-end cache.

    The encoder goes by several names, so that each worker can be given the same trials.
    """
    start = StartingPoint(str(build_whisper_tiny(folder / "tiny")), Reading(depth=depth))
    FrontCache(load_encoder(start.source, start.reading), folder / "cache").fill(corpus.clips)
    starts = {StartId(f"encoder-{worker}", NONE): start for worker in range(2)}
    return TrialJobs(starts, {corpus.name: corpus}, methods, folder / "cache", threads=1)


def make_trials(corpus: Corpus, method: str, k: int, workers: int = 1, draws: int = 2000) -> list[TrialSpec]:
    """The same one-vs-rest trials of the first speaker for each worker: every label, ``draws`` times."""
    speaker, names = corpus.speakers[0], [f"encoder-{worker}" for worker in range(workers)]
    return [
        TrialSpec(name, NONE, "", corpus.name, "clean", ONE_VS_REST, method, "", speaker, label, k, draw, 0)
        for name, draw, label in product(names, range(draws), corpus.labels)
    ]


def trials_per_second(
    jobs: TrialJobs,
    method: str,
    k: int,
    workers: int,
    seconds: float,
    run: Callable[..., Generator[Outcome[TrialSpec]]] = run_trials,
    draws: int = 2000,
) -> float:
    """Rate of the steady state, measured for ``seconds`` from when every worker has finished a trial or batch.

    Left out are the start of processes, the loading of encoders and the pooling of the speaker's clips. ``run`` is the
    engine; ``draws`` is as in :func:`make_trials`. It ends with the first worker that is done.
    """
    (corpus,) = jobs.targets.values()
    trials = make_trials(corpus, method, k, workers, draws)
    left = Counter(trial.encoder for trial in trials)
    arrivals: dict[str, list[tuple[float, int]]] = {encoder: [] for encoder in left}
    began = 0.0
    with contextlib.closing(run(trials, jobs, workers)) as outcomes:
        for outcome in outcomes:
            now, records = time.perf_counter(), list(each_record([outcome]))
            for record in records:
                if record.error is not None:
                    raise SystemExit(f"a trial of {record.job.method} failed: {record.error}")
            encoder = records[0].job.encoder
            left[encoder] -= len(records)
            if not all(arrivals.values()):
                began = now
            arrivals[encoder].append((now, len(records)))
            enough = now - began > seconds and all(len(times) > 1 for times in arrivals.values())
            if enough or not left[encoder]:
                break
    both = [[(time, count) for time, count in times if time >= began] for times in arrivals.values()]
    return sum(sum(count for _, count in times[1:]) / (times[-1][0] - times[0][0]) for times in both)


def run_counted(bench: SpeakerBench, spec: TrialSpec, method: PlannedMethod, clips_at_once: int) -> dict[str, Any]:
    """A trial, with its epochs and how many validation clips were heard in them."""
    bench.pool(())  # once for all trials of a speaker
    epochs, heard, run_epoch, pool = [], [], published._run_epoch, bench.encoder.pool

    def count_epoch(*arguments: Any) -> None:
        epochs.append(1)
        run_epoch(*arguments)

    def count_clips(frames: Any, precision: Any) -> Any:
        frames = list(frames)
        heard.append(len(frames))
        return pool(frames, precision)

    with (
        patch.object(published, "CLIPS_AT_ONCE", clips_at_once),
        patch.object(published, "_run_epoch", count_epoch),
        patch.object(bench.encoder, "pool", count_clips),
    ):
        found = run_trial(bench, spec, method)
    return found | {"epochs": len(epochs), "heard": sum(heard[:-1])}  # the last are the test clips


def _save(model: Any, config: Any, folder: Path) -> None:
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(0)
        model(config).save_pretrained(folder)
