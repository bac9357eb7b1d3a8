from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Wav2Vec2Config

from voicefit import sweep
from voicefit.audio import SAMPLE_RATE
from voicefit.demo import demo
from voicefit.demo.small_encoder import write_small_encoder
from voicefit.encoders import load_encoder
from voicefit.sweep import TrialStore, read_preset
from voicefit.sweep.plan import Grid, Plan


@pytest.fixture(scope="module")
def encoder_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "encoder"
    write_small_encoder(path)
    return path


@pytest.fixture(scope="module")
def front(encoder_path: Path) -> Any:
    return load_encoder(encoder_path).front


def _tone(hertz: float, amplitude: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def _log_amplitudes(frames: torch.Tensor) -> torch.Tensor:
    """What the last convolution computed, from the GELU of it and of its negative."""
    positive, negative = frames.chunk(2, dim=1)
    return positive - negative


def test_the_small_encoder_is_a_plain_wav2vec2_that_transformers_loads_and_runs(encoder_path: Path):
    model, info = AutoModelForAudioClassification.from_pretrained(encoder_path, output_loading_info=True)
    inputs = AutoFeatureExtractor.from_pretrained(encoder_path)(
        _tone(440, 0.1), sampling_rate=SAMPLE_RATE, return_tensors="pt"
    )
    assert isinstance(model.config, Wav2Vec2Config)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert model(**inputs).logits.isfinite().all()


def test_the_small_encoder_is_the_same_every_time_and_leaves_the_global_seed_alone(encoder_path: Path, tmp_path: Path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    write_small_encoder(tmp_path / "again")
    assert torch.equal(torch.rand(3), expected)
    first, second = (load_file(path / "model.safetensors") for path in (encoder_path, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_small_encoder_has_fifty_frames_a_second(encoder_path: Path, front: Any):
    config = Wav2Vec2Config.from_pretrained(encoder_path)
    assert SAMPLE_RATE / np.prod(config.conv_stride) == 50
    assert len(front(_tone(440, 0.1, 3.0))) - len(front(_tone(440, 0.1, 1.0))) == 100


@pytest.mark.parametrize("hertz", [170, 630, 2450])
def test_a_tone_is_loudest_in_its_own_mel_band(front: Any, hertz: float):
    loudest = _log_amplitudes(front(_tone(hertz, 0.1))).mean(0).argmax()
    mel = 2595 * np.log10(1 + np.array([60, hertz, 7600]) / 700)
    assert abs(loudest - ((mel[1] - mel[0]) / (mel[2] - mel[0]) * 41 - 1)) <= 1


def test_bands_follow_the_logarithm_of_the_amplitude(front: Any):
    loud, mid, quiet = (_log_amplitudes(front(_tone(630, amplitude))).mean(0).max() for amplitude in (0.4, 0.1, 0.025))
    assert loud - mid == pytest.approx(float(mid - quiet), rel=0.15)
    assert loud - mid > 0.5


def test_silence_is_where_the_logarithm_begins(front: Any):
    silent = _log_amplitudes(front(np.zeros(SAMPLE_RATE, dtype=np.float32)))
    faint = _log_amplitudes(front(_tone(630, 1e-5)))
    assert torch.allclose(silent, faint, atol=0.05)


def test_the_preset_begins_without_corpora_with_two_and_with_all_four():
    plan = read_preset("demo")
    assert plan.starts(plan.grid[0]) == ["none", "english+german", "english+german+italian+polish"]


def test_the_preset_by_itself_reads_what_the_demo_writes_in_the_current_folder():
    plan, folder = read_preset("demo"), "voicefit-demo-material"
    assert plan.encoders["small"].source == f"{folder}/encoder"
    spoken = {corpus.name: f"{folder}/speech/{corpus.name}" for corpus in (*demo.DEMO_CORPORA, demo.DEMO_TARGET)}
    assert {f"demo-{name}": path for name, path in {**plan.corpora, **plan.targets}.items()} == spoken


@pytest.mark.slow(35)
def test_the_demo_runs_from_speech_to_report_and_again_from_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_pdfs: None
):
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed (extra: demo)")
    _shrink(monkeypatch)
    steps: list[str] = []
    told: list[str] = []
    result = demo.run_demo(
        tmp_path / "run", workers=1, progress=lambda what, done, total: steps.append(what), notify=told.append
    )
    assert result.report.is_file()
    starts = ("none", "english+german")
    both = set(product(("head", "prototype", "full"), starts))
    assert set(result.scores) == both | set(product(("prior", "joint"), ["english+german"]))
    lines = result.text().splitlines()
    for method in ("head", "prototype", "full"):
        plain, tuned = (result.scores[method, start] for start in starts)
        line = next(line for line in lines if line.split()[0] == method)
        assert f"not pre-finetuned {plain:.3f}, pre-finetuned {tuned:.3f}" in line
    assert f"  joint      pre-finetuned {result.scores['joint', 'english+german']:.3f}" in result.text()
    first = result.scores["head", "none"]
    assert len(told) == 1 and told[0].startswith(f"first score: macro F1 {first:.3f} with 2 clips of a new voice")
    assert steps.index("front end on spanish") < steps.index("front end on english")
    with TrialStore(tmp_path / "run" / "trials.sqlite", read_only=True) as store:
        finished = store.trials()["finished_at"].tolist()
    again = demo.run_demo(tmp_path / "run", workers=1, progress=lambda what, done, total: None, notify=told.append)
    assert again.scores == result.scores and len(told) == 1
    with TrialStore(tmp_path / "run" / "trials.sqlite", read_only=True) as store:
        assert store.trials()["finished_at"].tolist() == finished


def _shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two corpora of three, and a target of two, speakers with three emotions and a few clips of each."""
    small = [
        replace(corpus, speakers=corpus.speakers[:3], labels=corpus.labels[:3]) for corpus in demo.DEMO_CORPORA[:2]
    ]
    target = replace(demo.DEMO_TARGET, speakers=demo.DEMO_TARGET.speakers[:2], labels=demo.DEMO_TARGET.labels[:3])
    monkeypatch.setattr(demo, "DEMO_CORPORA", small)
    monkeypatch.setattr(demo, "DEMO_TARGET", target)
    monkeypatch.setattr(demo, "_CLIPS_PER_LABEL", 3)
    monkeypatch.setattr(demo, "_TARGET_CLIPS_PER_LABEL", 6)
    monkeypatch.setattr(sweep, "read_preset", _small_plan)


def _small_plan(preset: str, **paths: Any) -> Plan:
    plan = read_preset(preset, **paths)
    return plan.model_copy(
        update={
            "corpora": {name: plan.corpora[name] for name in ("english", "german")},
            "prefinetune": {**plan.prefinetune, "max_epochs": 1},
            "grid": [
                Grid(starts=["none", "all"], methods=["head", "prototype"], k=[2, 4], draws=2),
                Grid(starts=["all"], methods=["prior", "joint"], k=[2], draws=2),
                Grid(starts=["none", "all"], methods=["full"], k=[2], draws=1),
            ],
        }
    )
