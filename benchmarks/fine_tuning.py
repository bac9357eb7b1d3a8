"""Trials an hour of the methods that train the encoder, beside another commit, and whether their scores are the same.

Both run the same trials of one nEMO speaker in turn, from a full front-end cache, with the environment of this script:

    git worktree add ../other 5aaf7ea
    python -m benchmarks.fine_tuning --other ../other

The last columns say what is possible: the matrix products that a trial needs, at the rate of this machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation import METHODS
from voicefit.corpora import load_corpus
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.sweep.episodes import ONE_VS_REST
from voicefit.sweep.plan import NONE
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial
from voicefit.system.heap import keep_freed_memory

NAMES = ("full", "top-layers", "bitfit", "lora", "lhuc")
SPEAKER, WORKERS, TARGET = "EB0", 2, "≥ 2"
KS, DRAWS = (2, 8, 64), 2
SCORES = ("macro_f1", "accuracy", "balanced_accuracy")


def measure(method: str, cache: Path, ks: tuple[int, ...], draws: int) -> dict[str, Any]:
    """Seconds and results of trials for each k, what the products of one need, and their rate, in one worker."""
    keep_freed_memory()  # as workers do
    torch.set_num_threads(1)
    bench = _bench(cache)
    bench.pool(())
    planned = PlannedMethod(METHODS[method].configured())
    labels = bench.episodes.labels
    if hasattr(SpeakerBench, "upper_part"):  # or a commit that keeps nothing beyond whole layers
        part = bench.upper_part(planned.configured)
        for clip in bench.episodes.clips:
            part.frames(clip)
    _run(bench, planned, labels[0], max(ks), draws)
    trials, operations = {}, {}
    for k in ks:
        trials[k] = [_run(bench, planned, labels[draw % len(labels)], k, draw) for draw in range(draws)]
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            _run(bench, planned, labels[0], k, 0)
        operations[k] = counter.get_total_flops()
    return {"trials": trials, "operations": operations, "rate": _rate()}


def _bench(cache: Path) -> SpeakerBench:
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / FOLDERS["nemo"])
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2, frozen_layers=1))
    front = FrontCache(encoder, cache, WORKERS)
    front.fill(clip for clip in corpus.clips if clip.speaker == SPEAKER)
    return SpeakerBench.of(encoder, front, corpus, SPEAKER)


def _run(bench: SpeakerBench, planned: PlannedMethod, label: str, k: int, draw: int) -> dict[str, Any]:
    """What a trial gives; its seconds are those of the processor, so that other programs do not count."""
    name = planned.configured.name
    spec = TrialSpec("tiny", NONE, "", "nemo", "clean", ONE_VS_REST, name, "", SPEAKER, label, k, draw, 0)
    began = time.process_time()
    return {**run_trial(bench, spec, planned), "seconds": time.process_time() - began}


def _rate() -> float:
    """Floating-point operations a second in the product of Whisper tiny's feed-forward block."""
    left, right = torch.randn(500, 384), torch.randn(384, 1536)
    began = time.process_time()
    for _ in range(200):
        left @ right
    return 200 * 2 * 500 * 384 * 1536 / (time.process_time() - began)


def workers(place: Path, arguments: list[Any]) -> list[dict[str, Any]]:
    """What every worker found; all run at once, on the code of a checkout."""
    here = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(place / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.fine_tuning", "--measure", *map(str, arguments)]
    begun = [
        subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
    ]
    outputs = [process.communicate()[0] for process in begun]
    if any(process.returncode for process in begun):
        raise SystemExit(f"{place}: a worker failed, see above")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def rows_of(other: Path | None, names: tuple[str, ...], ks: tuple[int, ...], draws: int) -> Iterator[dict[str, Any]]:
    """A row per method and number of shots; without another checkout, of this one alone."""
    with tempfile.TemporaryDirectory() as cache:
        _bench(Path(cache))
        for name in names:
            arguments = [name, cache, draws, *ks]
            before = workers(other, arguments) if other else None
            now = workers(Path(__file__).resolve().parents[1], arguments)
            for k in map(str, ks):
                trial = _seconds(now, k)
                least = now[0]["operations"][k] / statistics.mean(found["rate"] for found in now)
                row = {"method": name, "k": k, "trials an hour": WORKERS * 3600 / trial}
                row |= {"at the ceiling": WORKERS * 3600 / least, "share of the ceiling": least / trial}
                if before:
                    then = _seconds(before, k)
                    row |= {"before": WORKERS * 3600 / then, "times as many": then / trial, "target": TARGET}
                    row |= {"largest difference of a score": f"{_difference(before, now, k):.1g}"}
                yield row


def _seconds(found: list[dict[str, Any]], k: str) -> float:
    return statistics.mean(trial["seconds"] for worker in found for trial in worker["trials"][k])


def _difference(before: list[dict[str, Any]], now: list[dict[str, Any]], k: str) -> float:
    pairs = zip(before[0]["trials"][k], now[0]["trials"][k], strict=True)
    return max(abs(one[name] - other[name]) for one, other in pairs for name in SCORES)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--other", type=Path, metavar="CHECKOUT", help="of another commit")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="lhuc at k = 2 alone")
    parser.add_argument("--only", action="append", choices=NAMES, help="run this method; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    options = parser.parse_args()
    if options.measure:
        method, cache, draws, *ks = options.measure
        print(json.dumps(measure(method, Path(cache), tuple(map(int, ks)), int(draws))))
        return
    torch.set_num_threads(1)
    names, ks = (("lhuc",), (2,)) if options.quick else (tuple(options.only or NAMES), KS)
    rows = list(rows_of(options.other and options.other.resolve(), names, ks, DRAWS))
    notes = [
        f"Whisper tiny.en, second of two layers trained, float32; nEMO speaker {SPEAKER}, 180 test clips; {WORKERS} "
        f"workers of one thread each, {DRAWS} trials of each row, after every clip of the speaker has been heard once. "
        "Times are those of the processor.",
        "At the ceiling: the matrix products of a trial take no longer than at the rate of large ones, and all else "
        "takes no time.",
    ]
    publish(rows, Options(options.quick, options.json), notes)


if __name__ == "__main__":
    main()
