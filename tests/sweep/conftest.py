import json
import multiprocessing
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from support import new_process
from support.layouts import write_noise
from support.tiny_models import build_wav2vec2_group_norm
from voicefit.adaptation import METHODS
from voicefit.corpora import Clip, Corpus, folder, load_corpus
from voicefit.encoders import Reading
from voicefit.sweep.jobs import Record, each_record
from voicefit.sweep.plan import expand_trials, make_plan
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.specs import StartId, TrialSpec
from voicefit.sweep.trial_jobs import StartingPoint, TrialJobs


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads of several processes on few cores wait for each other for longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session", name="new_process")
def a_context_for_new_processes() -> Any:
    return new_process.context


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that start at once; how they start otherwise is for the tests of whole sweeps."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr("voicefit.sweep.process_transport.multiprocessing.get_context", lambda method: context)


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wav2vec2_group_norm(tmp_path_factory.mktemp("encoder"), num_hidden_layers=2)


@pytest.fixture(scope="session")
def corpora_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in <corpus>/<speaker>/<label>/<take>.wav: alpha and beta, and voices to adapt to."""
    root = tmp_path_factory.mktemp("corpora")
    for corpus, takes in (("alpha", 2), ("beta", 2), ("voices", 5)):
        build_noise_corpus(root / corpus, takes=takes)
    return root


def build_noise_corpus(root: Path, takes: int) -> None:
    for speaker, label, take in product(("anna", "ben"), ("anger", "calm", "fear"), range(takes)):
        name = f"{speaker}/{label}/{take}.wav"
        write_noise(root / name, zlib.crc32(f"{root.name}/{name}".encode()), seconds=0.1 + 0.01 * take)


@pytest.fixture(scope="session")
def raw_plan(encoder_folder: Path, corpora_folder: Path) -> dict[str, Any]:
    """A small plan with pre-finetuning, as a TOML file would give it."""
    return {
        "encoders": {"tiny": {"source": str(encoder_folder), "frozen_layers": 1}},
        "corpora": {name: str(corpora_folder / name) for name in ("alpha", "beta")},
        "targets": {"voices": str(corpora_folder / "voices")},
        "prefinetune": {"max_epochs": 1, "batch_size": 4},
        "methods": {"full": {"steps": 2}},
        "grid": [{"starts": ["none", "all"], "methods": ["head", "prototype"], "k": [2, 4], "draws": 2}],
    }


@pytest.fixture
def subsets_plan(raw_plan: dict[str, Any]) -> dict[str, Any]:
    """Three pre-finetunings of many epochs, and few trials: a second or two each."""
    grid = [{"starts": ["none", "subsets"], "methods": ["prototype"], "k": [2], "draws": 1}]
    return {**raw_plan, "grid": grid, "prefinetune": {"max_epochs": 40, "patience": 40, "batch_size": 4}}


@pytest.fixture
def same_checkpoints() -> Callable[[Path, Path], None]:
    """Assert that two runs hold the same starting points, weights to the bit."""

    def compare(out: Path, other: Path) -> None:
        names = {path.relative_to(out) for path in RunDirectory(out).checkpoints.glob("*/*")}
        assert names == {path.relative_to(other) for path in RunDirectory(other).checkpoints.glob("*/*")}
        assert names and not any(path.name.endswith((".unfinished", ".part")) for path in names)
        for name in names:
            for file in ("model.safetensors", "prior.safetensors"):
                weights, others = load_file(out / name / file), load_file(other / name / file)
                assert weights.keys() == others.keys()
                for key, tensor in weights.items():
                    assert tensor.numpy().tobytes() == others[key].numpy().tobytes(), (name, file, key)
            records = [json.loads((root / name / "voicefit.json").read_text()) for root in (out, other)]
            for record in records:
                del record["best"]["seconds"]
            assert records[0] == records[1]

    return compare


@pytest.fixture
def stored() -> Callable[[Path], pd.DataFrame]:
    """The trials in a run's store, but for when and how long they ran."""

    def read(out: Path) -> pd.DataFrame:
        with RunDirectory(out).open_store() as store:
            table = store.trials()
        return table.drop(columns=["seconds", "finished_at", "attempts", "worker"]).sort_values(
            "key", ignore_index=True
        )

    return read


@pytest.fixture
def write_plan(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a plan with one encoder and one grid as a TOML file."""

    def lines(table: str, entries: dict[str, Any]) -> str:
        return "\n".join([table, *(f"{name} = {json.dumps(value)}" for name, value in entries.items())])

    def write(raw: dict[str, Any]) -> Path:
        tables = {
            "[encoders.tiny]": raw["encoders"]["tiny"],
            **{f"[{table}]": raw[table] for table in ("corpora", "targets", "prefinetune")},
            **{f"[methods.{name}]": settings for name, settings in raw["methods"].items()},
            "[[grid]]": raw["grid"][0],
        }
        path = tmp_path / "plan.toml"
        path.write_text("\n\n".join(lines(*table) for table in tables.items()))
        return path

    return write


@pytest.fixture
def trial_jobs(encoder_folder: Path, corpora_folder: Path, tmp_path: Path) -> TrialJobs:
    return TrialJobs(
        starts={StartId("tiny", "none"): StartingPoint(str(encoder_folder), Reading(frozen_layers=1))},
        targets={"voices": load_corpus("voices", corpora_folder / "voices")},
        methods={name: PlannedMethod(method.configured()) for name, method in METHODS.items()},
        cache_root=tmp_path / "cache",
        threads=1,
    )


@pytest.fixture
def results_of() -> Callable[[Iterable[Record[TrialSpec]]], dict[TrialSpec, tuple[dict[str, Any], str | None]]]:
    """Trial → its result but for the seconds, and its error; each trial once."""

    def collect(records: Iterable[Record[TrialSpec]]) -> dict[TrialSpec, tuple[dict[str, Any], str | None]]:
        collected = list(each_record(records))
        results = {
            record.job: ({name: value for name, value in record.result.items() if name != "seconds"}, record.error)
            for record in collected
        }
        assert len(results) == len(collected)
        return results

    return collect


@pytest.fixture
def errors_of() -> Callable[[dict[TrialSpec, tuple[dict[str, Any], str | None]]], dict[TrialSpec, str]]:
    """Of results, those that failed: trial → its error."""
    return lambda results: {trial: error for trial, (_, error) in results.items() if error is not None}


@pytest.fixture
def trials(raw_plan: dict[str, Any], trial_jobs: TrialJobs) -> list[TrialSpec]:
    grid = [{"starts": ["none"], "methods": ["head", "prototype"], "k": [2, 4], "draws": 3}]
    plan = make_plan({**raw_plan, "grid": grid}, "plan")
    return expand_trials(plan, list(trial_jobs.targets.values()), {StartId("tiny", "none"): "s"})


@pytest.fixture
def make_corpus_of() -> Callable[..., Corpus]:
    """A corpus without files: speaker → label → number of clips."""

    def make(name: str, counts: dict[str, dict[str, int]]) -> Corpus:
        clips = [
            Clip(f"{speaker}/{label}/{take:02}.wav", Path("none"), speaker, label)
            for speaker, labels in counts.items()
            for label, count in labels.items()
            for take in range(count)
        ]
        return Corpus(name, Path("none"), folder.INFO, tuple(clips))

    return make
