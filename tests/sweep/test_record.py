"""What earlier versions recorded is read and resumed."""

import json
import shutil
import zlib
from itertools import product

import pandas as pd
import pytest

from support.layouts import write_noise
from support.tiny_models import build_wav2vec2_group_norm
from voicefit.checkpoints.record import read_record
from voicefit.corpora import load_corpus
from voicefit.errors import VoicefitError
from voicefit.sweep import TrialStore, make_plan, merge_runs, recorded_plan, run_sweep
from voicefit.sweep.plan import expand_trials

START_KEYS = {
    "none": "f354a50c290b089c97e2cadc407dd376",
    "alpha": "a5eae244b2b401ba76f452d56dc595df",
    "alpha+beta": "79adbc2fbfd74ea3e8cb620c0b7fea7f",
}
"""As computed before the option ``none_depth`` was dropped."""

RAW = {
    "encoders": {"tiny": {"source": "encoder", "depth": 1, "frozen_layers": 1}},
    "corpora": {"alpha": "alpha", "beta": "beta"},
    "targets": {"voices": "voices"},
    "prefinetune": {"max_epochs": 1, "batch_size": 4},
    "grid": [{"starts": ["none", "alpha", "all"], "methods": ["head"], "k": [2], "draws": 1}],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder, corpora, and the finished run of a plan that names them from here."""
    root = tmp_path_factory.mktemp("record")
    build_wav2vec2_group_norm(root / "encoder", num_hidden_layers=2)
    for corpus, takes in (("alpha", 2), ("beta", 2), ("voices", 5)):
        for speaker, label, take in product(("anna", "ben"), ("anger", "calm", "fear"), range(takes)):
            name = f"{corpus}/{speaker}/{label}/{take}.wav"
            write_noise(root / name, zlib.crc32(name.encode()), seconds=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run_sweep(make_plan(RAW, "plan.toml"), root / "run", cache_root=root / "cache")
    return root


def trials_of(run) -> pd.DataFrame:
    with TrialStore(run / "trials.sqlite", read_only=True) as store:
        return store.trials()


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    """The run as an earlier version recorded it."""
    monkeypatch.chdir(folder)
    copy = shutil.copytree(folder / "run", tmp_path / "run")
    record = json.loads((copy / "run.json").read_text())
    record["plan"]["encoders"]["tiny"]["none_depth"] = None
    (copy / "run.json").write_text(json.dumps(record))
    return copy


@pytest.mark.slow(1)
def test_starts_and_trials_have_the_keys_that_they_had(run):
    for start in ("alpha", "alpha+beta"):
        assert read_record(run / "checkpoints" / "tiny" / start)["start_key"] == START_KEYS[start]
    keys = {("tiny", start): key for start, key in START_KEYS.items()}
    trials = expand_trials(make_plan(RAW, "plan.toml"), [load_corpus("voices", "voices")], keys)
    assert {trial.key for trial in trials} == set(trials_of(run)["key"])


def test_a_run_that_recorded_an_option_which_is_no_more_is_read_and_resumed(run, folder, tmp_path):
    plan = make_plan(RAW, "plan.toml")
    assert recorded_plan(run) == plan
    result = run_sweep(plan, run, cache_root=tmp_path / "cache")
    assert (result.skipped, result.finished, result.failed) == (len(trials_of(run)), 0, 0)
    assert merge_runs([run, folder / "run"], tmp_path / "merged") == result.skipped


def test_a_recorded_plan_takes_other_paths(run):
    plan = recorded_plan(run, {"tiny": "other"}, {"voices": "there"})
    assert plan == make_plan(RAW, "plan.toml", {"tiny": "other"}, {"voices": "there"})


def test_a_run_that_used_the_option_is_refused(run):
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace('"none_depth": null', '"none_depth": 2'))
    for read in (recorded_plan, lambda out: run_sweep(make_plan(RAW, "plan.toml"), out)):
        with pytest.raises(VoicefitError, match=r"encoders\.tiny has none_depth = 2, an option that is no more; use"):
            read(run)
