from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from support.run_distill import SETTINGS
from support.tiny_models import build_wav2vec2_layer_norm, make_waveform
from voicefit.distillation import distill
from voicefit.distillation.distiller import Distiller
from voicefit.distillation.lessons import Lessons, find_windows
from voicefit.distillation.student import build_student, cut_student
from voicefit.encoders import FrontEnd, Reading, load_encoder

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(teacher: Path, audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut")
    settings = SETTINGS.model_copy(update={"layers": (1, 2), "epochs": 2, "lr": 1e-3})
    found = distill(teacher, "teacher", [audio], folder / "out", settings=settings, cache_root=folder / "cache")
    assert found.held_out_loss < found.silent_loss - 0.3
    return folder / "out"


def test_it_begins_as_its_teacher_in_a_window_of_4_seconds(teacher: Path):
    student = cut_student(teacher, 1).eval()
    master = load_encoder(teacher, Reading(depth=1, front_end=FrontEnd(max_seconds=4.0)))
    waveform = make_waveform(1.0)
    hidden, mask = student.hidden([student.front(waveform)])
    assert mask is None and hidden.shape[1] == 200
    assert torch.allclose(hidden.mean(1), master.pool([master.front(waveform)]), atol=1e-6)


@pytest.mark.slow(5)
def test_all_of_it_is_trained_but_the_positions(finished: Path, teacher: Path):
    before, after = cut_student(teacher, 1).model.state_dict(), load_file(finished / "model.safetensors")
    changed = {name for name, weight in after.items() if not torch.equal(weight.float(), before[name].half().float())}
    assert {"encoder.conv1.weight", "encoder.conv2.weight", "encoder.layers.0.fc1.weight"} <= changed
    assert torch.equal(
        after["encoder.embed_positions.weight"].float(), before["encoder.embed_positions.weight"].half().float()
    )


@pytest.mark.slow(5)
def test_it_is_a_plain_encoder_of_one_layer_and_4_seconds_and_learns_on(finished: Path):
    assert all(name.startswith("encoder.") for name in load_file(finished / "model.safetensors"))
    encoder = load_encoder(finished)
    assert encoder.depth == 1 and encoder.front_shape(16_000) == (200, 16)
    again = build_student(finished, 7).model
    assert again.encoder.conv1.weight.requires_grad
    assert torch.equal(again.encoder.conv1.weight, encoder.model.encoder.conv1.weight)


def test_its_heads_begin_near_the_teacher(teacher: Path, audio: Path, tmp_path: Path):
    master, student = (
        load_encoder(teacher, Reading(depth=2, front_end=FrontEnd(max_seconds=4.0))),
        cut_student(teacher, 1),
    )
    settings = SETTINGS.model_copy(update={"layers": (1, 2)})
    lessons = Lessons(master, student, settings, 0, tmp_path)
    windows, _ = find_windows([audio])
    lessons.prepare(windows, lambda *_: None)
    lessons.standardise(windows[:12])
    distiller = Distiller(student, lessons, windows[:12], windows[12:], settings, 0)
    before = distiller.validate()
    distiller.fit_heads()
    assert distiller.validate() < min(before, distiller.silent_loss()) - 0.3


def test_the_teacher_need_not_be_a_whisper(tmp_path: Path, audio: Path):
    master = build_wav2vec2_layer_norm(tmp_path / "master")
    settings = SETTINGS.model_copy(update={"layers": (1, 2), "epochs": 1, "lr": 1e-4})
    found = distill(master, "teacher", [audio], tmp_path / "out", settings=settings, cache_root=tmp_path / "cache")
    assert found.held_out_loss < found.silent_loss and load_encoder(tmp_path / "out").depth == 1
