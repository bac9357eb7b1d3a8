from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from support.run_distill import SETTINGS
from support.tiny_models import build_wav2vec2_layer_norm, build_whisper
from voicefit.audio import load_waveform
from voicefit.distillation import distill
from voicefit.distillation.inherit import inherit, make_inheriting_student
from voicefit.distillation.student import build_student
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.errors import VoicefitError

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(build_whisper(tmp_path_factory.mktemp("whisper")), Reading(depth=1)).eval()


@pytest.fixture(scope="module")
def speech(audio: Path) -> list[np.ndarray]:
    return [load_waveform(path)[:80_000] for path in sorted(audio.glob("*.flac"))]


@pytest.fixture(scope="module")
def heir(master: Encoder, speech: list[np.ndarray]) -> Encoder:
    student = make_inheriting_student(master, seed=0).eval()
    inherit(student, master, [*speech[:7], *speech[8:]])
    return student


@torch.no_grad()
def test_its_convolutions_say_nearly_what_the_teachers_say_of_what_it_was_not_mapped_on(
    heir: Encoder, master: Encoder, speech: list[np.ndarray]
):
    waveform = speech[7]
    mine = heir.model.base_model.feature_extractor(torch.from_numpy(waveform)[None])[0].T
    inputs = master.feature_extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    encoder = master.model.encoder
    theirs = torch.nn.functional.gelu(encoder.conv2(torch.nn.functional.gelu(encoder.conv1(inputs))))[0].T
    lag = round((heir.first_centre - master.first_centre) / 320)
    theirs = theirs[lag : lag + len(mine)]
    about = (theirs - theirs.mean(0)).square().sum()
    assert (mine[: len(theirs)] - theirs).square().sum() < 0.3 * about


@torch.no_grad()
def test_its_layer_says_exactly_what_the_teachers_layer_says_of_the_same_frames(heir: Encoder, master: Encoder):
    frames = torch.randn(1, 9, master.hidden_size, generator=torch.Generator().manual_seed(0))
    layer, example = heir.model.base_model.encoder.layers[0], master.model.encoder.layers[0]
    (mine, theirs) = (
        found[0] if isinstance(found, tuple) else found for found in (layer(frames), example(frames, None))
    )
    assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.slow(2)
def test_an_heir_learns_all_but_its_convolutions_and_goes_on_so(teacher: Path, audio: Path, tmp_path: Path):
    out = tmp_path / "out"
    settings = SETTINGS.model_copy(update={"epochs": 2})
    found = distill(teacher, "teacher", [audio], out, settings=settings, seed=3, cache_root=tmp_path / "cache")
    assert found.held_out_loss < found.silent_loss
    again = build_student(out, 7).model.base_model
    assert not any(weight.requires_grad for weight in again.feature_extractor.parameters())
    assert all(weight.requires_grad for weight in again.encoder.parameters())
    stem = load_file(out / "model.safetensors")["feature_extractor.conv_layers.5.conv.weight"]
    assert torch.equal(stem, load_encoder(teacher).model.encoder.conv2.weight.half())


def test_only_a_whisper_has_heirs(tmp_path: Path):
    with pytest.raises(VoicefitError, match="only a Whisper teacher"):
        make_inheriting_student(load_encoder(build_wav2vec2_layer_norm(tmp_path)), 0)
