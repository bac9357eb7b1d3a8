"""Pre-finetuning on corpora of 1,000 to 100,000 clips: time a clip, and what memory grows by.

Clips are seconds of a few long recordings of made-up speech, or files of their own; each case runs in a process of its
own. Nothing is held in memory between two readings of a clip, as where the frames are far more than memory.
"""

import csv
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from benchmarks.common import LABELS, SAMPLE_RATE, build_small, in_own_process, parse_options, publish, seconds_of
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, load_encoder
from voicefit.encoders.cache_limit import bytes_under
from voicefit.heads.discriminants import discriminant_projector
from voicefit.heads.learn_prior import learn_prior
from voicefit.prefinetuning.batches import split_by_speaker
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.prefinetuning.trainer import Trainer

SPEAKERS = 20
LONG = 60.0
"""Seconds of a recording that many clips are cut from."""

NO_MEMORY = 10**9
"""Processes that share the memory for frames: none is left to any of them."""


@dataclass(frozen=True)
class Case:
    """So many clips of a second, cut from a recording per speaker or each a file of its own."""

    clips: int
    own_files: bool = False


def speech(seconds: float, seed: int) -> np.ndarray:
    """Noise and a voice's harmonics that come and go as syllables do, ``float32 (samples,)`` at 16 kHz."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = generator.uniform(90, 250)
    voice = sum(np.sin(2 * np.pi * pitch * overtone * time) / overtone for overtone in (1, 2, 3))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time + generator.uniform(0, 6)), 0, None)
    return (0.1 * syllables * (voice + 0.3 * generator.standard_normal(len(time)))).astype(np.float32)


def write_corpus(folder: Path, case: Case) -> Path:
    """A table of clips, label after label, and the recordings that it names."""
    folder.mkdir()
    if not case.own_files:
        for speaker in range(SPEAKERS):
            soundfile.write(folder / f"{speaker}.wav", speech(LONG, speaker), SAMPLE_RATE)
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "speaker", "label", "start", "end"])
        for index in range(case.clips):
            speaker, label = index % SPEAKERS, LABELS[index // SPEAKERS % len(LABELS)]
            if case.own_files:
                soundfile.write(folder / f"{index}.wav", speech(1.0, index), SAMPLE_RATE)
                table.writerow([f"{index}.wav", speaker, label, "", ""])
            else:
                start = round((LONG - 1) * index / case.clips, 6)
                table.writerow([f"{speaker}.wav", speaker, label, start, start + 1])
    return folder / "clips.csv"


def peak_memory() -> float:
    """The most that this process has held until now, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(table: Path, model: Path, root: Path) -> dict[str, float]:
    """Seconds of each step of pre-finetuning heads for an epoch, MB stored, and peak memory in MB before and after."""
    torch.set_num_threads(1)
    encoder = load_encoder(model)
    encoder.pool([encoder.front(speech(1.0, 0))] * 256)
    before = peak_memory()
    corpus = load_corpus("made-up", table)
    cache = FrontCache(encoder, root, NO_MEMORY)
    found = {
        "estimate": seconds_of(lambda: cache.plan(corpus.clips)),
        "fill": seconds_of(lambda: cache.fill(corpus.clips)),
        "look again": seconds_of(lambda: FrontCache(encoder, root, NO_MEMORY).fill(corpus.clips)),
        "list": seconds_of(lambda: bytes_under(root)),
        "stored": bytes_under(root) / 1e6,
    }
    split = split_by_speaker(corpus, 0.15, 0)
    clips = {split.name: split.train}

    def pool() -> dict[str, torch.Tensor]:
        return {split.name: encoder.pool(cache.frames(clip) for clip in split.train)}

    encoder.set_projector(discriminant_projector(pool(), clips, encoder.hidden_size))
    trainer = Trainer(encoder, [split], cache, PrefinetuneSettings(train_encoder=False, max_epochs=1), 0)
    found["epoch"] = seconds_of(lambda: trainer.run_epoch(lambda *step: None))
    found["prior"] = seconds_of(lambda: learn_prior(pool(), clips))
    return found | {"before": before, "peak": peak_memory()}


def make_row(case: Case, found: dict[str, float]) -> dict[str, Any]:
    """One line of the table."""
    row: dict[str, Any] = {"clips": f"{case.clips:,}", "files": f"{case.clips if case.own_files else SPEAKERS:,}"}
    row |= {"stored, MB": found["stored"], "list all entries, s": found["list"]}
    for step in ("estimate", "fill", "look again", "epoch", "prior"):
        row[f"{step}, ms a clip"] = 1000 * found[step] / case.clips
    growth = found["peak"] - found["before"]
    return row | {"peak memory, MB": found["peak"], "… before the clips": found["before"], "… added by them": growth}


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    cases = [Case(1000), Case(2000)] if options.quick else [Case(1000), Case(10_000), Case(10_000, True), Case(100_000)]
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            table, model = write_corpus(folder / "corpus", case), build_small(folder / "model")
            found, _ = in_own_process(measure, table, model, folder / "cache")
        rows.append(make_row(case, found))
    notes = [
        "Clips of 1 s, 20 speakers; wav2vec 2.0 with 32 channels and one layer, one thread, one round. No frames are "
        "held in memory.",
        "estimate: FrontCache.plan, which reads every file; fill: decoding, front end and writing; look again: the "
        "same with all there; epoch: heads trained and validated; prior: pooled and learnt.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
