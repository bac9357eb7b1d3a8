"""The whole line on synthetic speech: no network, no downloads, a minute or so on two cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voicefit.demo.synthesis import DEMO_CORPORA, DEMO_TARGET, SyntheticCorpus, import_parselmouth, synthesise_corpus
from voicefit.system.heap import importing
from voicefit.system.progress import Notify, Progress

if TYPE_CHECKING:
    import pandas as pd

    from voicefit.sweep.plan import Plan

_CLIPS_PER_LABEL = 9
_TARGET_CLIPS_PER_LABEL = 27

_METHODS = {
    "full": "the publication's: all of the encoder is trained",
    "head": "a linear head",
    "prototype": "the nearest mean",
    "prior": "what the corpora know of labels",
    "joint": "prior, with the voice's other recordings, unlabelled",
}


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    Attributes:
        scores: mean macro F1 at k = 2 by (method, start).
        floor: the better of the two scores that need no model.
        report: the HTML page.
    """

    scores: dict[tuple[str, str], float]
    floor: float
    report: Path

    def text(self) -> str:
        """The result in a few lines, for the end of the run."""
        full = max((start for _, start in self.scores), key=lambda start: start.count("+"))
        lines = [
            f"macro F1 with 2 clips of a new voice (floor {self.floor:.3f}),",
            f"a small encoder pre-finetuned on {full} or not:",
        ]
        for method, means in _METHODS.items():
            found = [
                f"{words} {self.scores[method, start]:.3f}"
                for start, words in (("none", "not pre-finetuned"), (full, "pre-finetuned"))
                if (method, start) in self.scores
            ]
            lines.append(f"  {method:<10} {', '.join(found)}  ({means})")
        return "\n".join(lines)


def run_demo(out: Path, *, workers: int, progress: Progress, notify: Notify) -> DemoResult:
    """Synthesise four corpora and a target, pre-finetune a small wav2vec 2.0, adapt to every target speaker, report.

    A demo that was stopped resumes. The first score needs the target alone, and is told while corpora are synthesised.

    Args:
        out: the run directory; speech, encoder and cache go to ``OUT-material`` beside it.
        workers: processes that synthesise, and that run trials.
        progress: called at every step.
        notify: called with the first score.

    Raises:
        VoicefitError: ``praat-parselmouth`` is not installed, or ``out`` holds something else.
    """
    import_parselmouth()
    material = out.with_name(out.name + "-material").resolve()
    speech = {corpus.name.removeprefix("demo-"): material / "speech" / corpus.name for corpus in _corpora()}
    with _synthesising(material / "speech", workers, progress) as wait_for:
        # Imported here: what torch takes to import, speech takes to be made.
        with importing():
            from voicefit.demo.small_encoder import write_small_encoder
            from voicefit.report import build_report
            from voicefit.sweep import read_preset, run_sweep
            from voicefit.sweep.process_transport import prepare_workers
            from voicefit.sweep.run_directory import RunDirectory
            from voicefit.system.machine import devices, limit_threads

        if not (material / "encoder").exists():
            write_small_encoder(material / "encoder")
        plan = read_preset("demo", encoders={"small": material / "encoder"}, corpora=speech)
        wait_for(1)
        if not out.exists():
            run_sweep(_first_plan(plan), out, cache_root=material / "cache", progress=progress)
            with RunDirectory(out).open_store() as store:
                notify(_first_score(store.trials()))
        if workers > 1:
            prepare_workers(devices())
        wait_for(len(_corpora()))
        with limit_threads(1):  # layers this small lose much to a second one where another program wants the core
            run_sweep(plan, out, workers=workers, cache_root=material / "cache", progress=progress)
    report = build_report(out, workers=workers)
    with RunDirectory(out).open_store() as store:
        return _result(store.trials(), report)


def _first_plan(plan: "Plan") -> "Plan":
    """Return the part of a plan that needs no corpus: the encoder as it comes, at two clips."""
    first = plan.grid[0].model_copy(update={"starts": ["none"], "methods": ["head"], "k": [2]})
    return plan.model_copy(update={"corpora": {}, "grid": [first]})


def _first_score(trials: "pd.DataFrame") -> str:
    return (
        f"first score: macro F1 {trials['macro_f1'].mean():.3f} with 2 clips of a new voice, not pre-finetuned "
        f"(floor {trials[['floor_never', 'floor_coin']].mean().max():.3f}); next: pre-finetuning"
    )


def _result(trials: "pd.DataFrame", report: Path) -> DemoResult:
    two = trials[trials["k"] == 2]
    places = ["method", "start"]
    cells = two.groupby(places, as_index=False)["macro_f1"].mean()
    scores = dict(zip(cells[places].itertuples(index=False, name=None), cells["macro_f1"], strict=True))
    return DemoResult(scores, float(two[["floor_never", "floor_coin"]].mean().max()), report)


def _corpora() -> tuple[SyntheticCorpus, ...]:
    """Return the target, which is needed first, and the corpora."""
    return (DEMO_TARGET, *DEMO_CORPORA)


@contextmanager
def _synthesising(root: Path, workers: int, progress: Progress) -> Iterator[Callable[[int], None]]:
    """Synthesise the corpora in processes of their own; yield what waits until so many of the first are there."""
    context = multiprocessing.get_context("spawn")
    first = ProcessPoolExecutor(1, mp_context=context)
    # The others give way to what the first score needs.
    others = ProcessPoolExecutor(workers, mp_context=context, initializer=os.nice, initargs=(5,))
    with first, others:
        jobs = [
            (first if corpus is DEMO_TARGET else others).submit(
                synthesise_corpus,
                corpus,
                root / corpus.name,
                _TARGET_CLIPS_PER_LABEL if corpus is DEMO_TARGET else _CLIPS_PER_LABEL,
                0,
            )
            for corpus in _corpora()
        ]

        def wait_for(count: int) -> None:
            for done, job in enumerate(jobs[:count], 1):
                job.result()
                progress("speaking corpora", done, len(jobs))

        try:
            yield wait_for
        except BaseException:
            others.shutdown(cancel_futures=True)
            raise
