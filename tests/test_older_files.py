"""Runs, checkpoints, models and states that version 0.1.0 wrote at commit 9a4818d (tests/older/README.md)."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from support.stored_trials import RESULT, SPEC
from support.tones import build_tones
from voicefit import PrefinetuneSettings, Run, adapt, build_report, load_corpus, load_encoder, load_model
from voicefit.checkpoints.start import open_start
from voicefit.prefinetuning.prefinetune import prefinetune
from voicefit.sweep import TrialStore, compare_with, read_plan, recorded_plan, run_sweep

OLDER = Path(__file__).parent / "older"
SETTINGS = PrefinetuneSettings(lr=3e-3, head_lr=1e-2, batch_size=8, max_epochs=3, patience=3, projector_width=8)


def read_trials(run):
    with TrialStore(run / "trials.sqlite", read_only=True) as store:
        return store.trials()


@pytest.fixture
def older(tmp_path, monkeypatch):
    """A copy of the files and the corpora that they are about, in the working directory."""
    folder = tmp_path / "older"
    shutil.copytree(OLDER, folder)
    for name in ("alpha", "beta", "voices"):
        build_tones(folder / "corpora" / name, ("angry", "neutral", "sad"), takes=6 if name == "voices" else 3)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow(3)
def test_a_run_resumes_where_methods_have_changed_since(older):
    """Uneven shots count otherwise since: methods that took them as they came run again, and the others do not."""
    before = read_trials(older / "run").set_index("key")
    assert recorded_plan(older / "run") == read_plan("plan.toml")
    first = run_sweep(read_plan("plan.toml"), "run", cache_root=older / "cache")
    assert (first.skipped, first.finished, first.failed) == (6 + 14, 60, 0)  # prototype and zero-shot are as they were
    second = run_sweep(recorded_plan(older / "run"), "run", cache_root=older / "cache")
    assert (second.skipped, second.finished, second.failed) == (80, 0, 0)
    after = read_trials(older / "run").set_index("key")
    kept = before.index.intersection(after.index)
    pd.testing.assert_frame_equal(after.loc[kept, before.columns], before.loc[kept])
    recorded = after["confusion"].notna()  # trials did not record it then
    assert not recorded[kept].any()
    assert recorded.drop(kept).equals(after["task"].drop(kept) == "multiclass")


@pytest.mark.slow(3)
def test_a_run_made_again_has_the_scores_of_the_older_one(older):
    run_sweep(recorded_plan(older / "run"), "again", cache_root=older / "cache")
    trials = compare_with(older / "run", older / "again").trials
    assert len(trials) == 80
    # Another processor rounds elsewhere, which may move a test clip over a threshold.
    assert (trials["difference"] < 1e-9).mean() > 0.9


@pytest.mark.slow(5)
def test_a_run_is_reported(older, without_pdfs):
    page = build_report(older / "run").read_text(encoding="utf-8")
    assert "prior-4-neutral" in page and "alpha + beta" in page
    assert "multiclass, tiny" in page and "taken for" not in page  # its trials counted no confusions


@pytest.mark.parametrize("encoder", ["tiny", "weighted"])
def test_a_checkpoint_is_a_start_to_adapt_from(older, encoder):
    start = open_start(f"run/checkpoints/{encoder}/alpha+beta")
    assert start.prior is not None and start.prior.labels == ("anger", "neutral", "sadness")
    assert start.encoder.frozen_layers == (encoder == "tiny")
    assert bool(start.encoder.layer_weights) == (encoder == "weighted")
    adapted = adapt(start.source, "corpora/voices/ann", out="adapted")
    assert adapted.method == "prior" and adapted.shots == {"anger": 6, "neutral": 6, "sadness": 6}


def test_a_model_answers_as_it_did(older):
    model = load_model("model")
    for clip, expected in json.loads((older / "probabilities.json").read_text()).items():
        assert model.predict(clip).probabilities == pytest.approx(expected, abs=1e-4)


def test_a_stopped_pre_finetuning_resumes(older):
    corpora = [load_corpus(name, older / "corpora" / name) for name in ("alpha", "beta")]
    steps = []
    run = Run(
        seed=5, resume=True, cache_root=older / "cache", progress=lambda what, done, total: steps.append((what, done))
    )
    out = prefinetune(load_encoder("encoder"), corpora, older / "stopped", source="encoder", settings=SETTINGS, run=run)
    assert next(step for step in steps if step[0].startswith("epoch")) == ("epoch 2/3", 4)
    history, expected = (
        pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (out, older / "whole")
    )
    pd.testing.assert_frame_equal(history, expected, rtol=1e-3)
    weights, before = (load_file(folder / "model.safetensors") for folder in (out, older / "whole"))
    assert weights.keys() == before.keys()
    for name, tensor in weights.items():
        np.testing.assert_allclose(tensor, before[name], atol=1e-3)


@pytest.mark.parametrize("name", ["before-calibration", "0.1.0", "confusion", "attempts"])
def test_a_store_of_each_schema_is_read_absorbed_and_written(name, older, tmp_path):
    path = older / "stores" / f"{name}.sqlite"
    with TrialStore(path, read_only=True) as store:
        rows = store.trials().set_index("draw").sort_index()
        assert list(rows["macro_f1"].dropna()) == [0.1, 0.7] and rows.loc[1, "error"] == "ValueError: no"
        assert store.finished_keys() == set(rows.loc[[0, 2], "key"]) and store.failed_keys() == {rows.loc[1, "key"]}
        assert list(store.attempts()["cause"]) == (["ValueError: no"] if name == "attempts" else [])
    with TrialStore(tmp_path / "merged.sqlite") as merged:
        assert merged.absorb(path) == 3
    with TrialStore(path) as store:
        assert store.trials().set_index("draw").sort_index()[rows.columns].equals(rows)
        store.add_lost(replace(SPEC, draw=1), "node1:7", "exit code -9")
        store.add(replace(SPEC, draw=1), RESULT)
        after = store.trials().set_index("draw").sort_index()
    assert list(after["macro_f1"]) == [0.1, RESULT["macro_f1"], 0.7]
    assert after.loc[1, "attempts"] == (3 if name == "attempts" else 2)
