import json
import math
import signal
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Wav2Vec2Model

from support import SUPPORT
from support.new_process import run_command_line
from support.run_distill import SETTINGS
from support.tiny_models import make_waveform
from voicefit.distillation import Distilled, distill, distillation_loss
from voicefit.distillation.student import build_student
from voicefit.encoders import load_encoder
from voicefit.errors import VoicefitError

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def finished(
    teacher: Path, student: Path, audio: Path, cache_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Distilled]:
    out = tmp_path_factory.mktemp("distilled") / "out"
    return out, distill(teacher, student, [audio], out, settings=SETTINGS, seed=3, cache_root=cache_root)


def test_the_loss_by_hand():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert distillation_loss(one, other, 1.0).item() == pytest.approx(1 + math.log(2))
    assert distillation_loss(one, other, 0.0).item() == pytest.approx(1)
    assert distillation_loss(one, one, 1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))


@pytest.mark.slow(5)
def test_a_student_goes_on_from_its_own_weights_and_keeps_its_filter_bank(finished: tuple[Path, Distilled]):
    weights = load_file(finished[0] / "model.safetensors")
    again = build_student(finished[0], 7)
    assert all(torch.equal(weights[name].float(), w) for name, w in again.model.base_model.state_dict().items())
    convolutions = again.model.base_model.feature_extractor.conv_layers
    assert [layer.conv.weight.requires_grad for layer in convolutions] == [False] * 4 + [True]


def test_the_student_comes_nearer_to_the_teacher_on_recordings_it_has_not_heard(finished: tuple[Path, Distilled]):
    out, found = finished
    history = pd.read_csv(out / "history.csv")
    assert len(history) == SETTINGS.epochs
    assert history["held_out_loss"].iloc[-1] < history["held_out_loss"].iloc[0]
    assert found.held_out_loss == pytest.approx(history["held_out_loss"].iloc[-1])
    assert found.held_out_loss < found.silent_loss - 0.1


def test_the_student_is_a_plain_encoder_for_transformers_and_for_us(finished: tuple[Path, Distilled]):
    out, _ = finished
    waveform = make_waveform(1.0)
    plain, info = Wav2Vec2Model.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert plain.dtype == torch.float32
    inputs = AutoFeatureExtractor.from_pretrained(out)(waveform, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = plain.eval()(**inputs).last_hidden_state.mean(1)
    encoder = load_encoder(out)
    assert torch.allclose(encoder.pool([encoder.front(waveform)]), expected, atol=1e-5)
    assert AutoModelForAudioClassification.from_pretrained(out).config.hidden_size == 16


def test_weights_are_halved_but_for_those_too_small_for_it(finished: tuple[Path, Distilled]):
    weights = load_file(finished[0] / "model.safetensors")
    first = "feature_extractor.conv_layers.0"  # filters far below 1, and the factor that makes up for it
    assert all(weights.pop(f"{first}.{part}.weight").dtype == torch.float32 for part in ("conv", "layer_norm"))
    assert all(w.isfinite().all() for w in weights.values())
    trained = [w for name, w in weights.items() if name.endswith("weight") and w.ndim > 1]
    assert trained and all(w.dtype == torch.float16 for w in trained)


def test_the_record_says_what_it_was_made_of(finished: tuple[Path, Distilled], teacher: Path, audio: Path):
    record = json.loads((finished[0] / "distillation.json").read_text())
    assert record["teacher"] == str(teacher)
    assert record["windows"] + record["held_out_windows"] == 17
    assert list(record["left_out"]) == [str(audio / "broken.wav")]
    assert 0 < record["hours"] * 3600 < 16 * 1.4 + 6.2
    assert (finished[0] / "curves.png").stat().st_size > 1000


@pytest.mark.slow(13)
def test_a_killed_run_resumes_to_the_same_bits(
    finished: tuple[Path, Distilled], teacher: Path, student: Path, audio: Path, cache_root: Path, tmp_path: Path
):
    out = tmp_path / "out"
    arguments = [teacher, student, audio, out, cache_root, 2, 3]
    script = SUPPORT / "run_distill.py"
    code, _, errors = run_command_line([script, *arguments], tmp_path)
    assert code == -signal.SIGKILL, errors
    assert not out.exists()
    with pytest.raises(VoicefitError, match="unfinished run; continue it with --resume"):
        distill(teacher, student, [audio], out, settings=SETTINGS, seed=3, cache_root=cache_root)
    distill(teacher, student, [audio], out, settings=SETTINGS, seed=3, cache_root=cache_root, resume=True)
    resumed, whole = (load_file(path / "model.safetensors") for path in (out, finished[0]))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert not out.with_name("out.unfinished").exists()


def test_a_run_is_not_continued_with_other_settings(
    teacher: Path, student: Path, audio: Path, cache_root: Path, tmp_path: Path
):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        distill(
            teacher, student, [audio], out, settings=SETTINGS, seed=3, cache_root=cache_root, progress=_stop_in_epoch_2
        )
    other = SETTINGS.model_copy(update={"lr": 1e-4})
    with pytest.raises(VoicefitError, match="begun with another teacher, student, audio, settings or seed"):
        distill(teacher, student, [audio], out, settings=other, seed=3, cache_root=cache_root, resume=True)


def _stop_in_epoch_2(what: str, done: int, total: int) -> None:
    if what.startswith("epoch 2/"):
        raise KeyboardInterrupt


def test_what_cannot_be_distilled_is_said_before_anything_is_written(
    teacher: Path, student: Path, audio: Path, tmp_path: Path
):
    out = tmp_path / "out"
    for layers, reason in (((3, 1), "different numbers from 1, rising"), ((1, 9), "has 3 layers")):
        settings = SETTINGS.model_copy(update={"layers": layers})
        with pytest.raises(VoicefitError, match=reason):
            distill(teacher, student, [audio], out, settings=settings, cache_root=tmp_path / "cache")
    with pytest.raises(VoicefitError, match="too little audio"):
        distill(teacher, student, [audio / "00.flac"], out, settings=SETTINGS, cache_root=tmp_path / "cache")
    assert not out.exists() and not out.with_name("out.unfinished").exists()
