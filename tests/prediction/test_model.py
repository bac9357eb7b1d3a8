from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import voicefit
from support.tiny_models import LABELS, build_wav2vec2_group_norm, make_prior, make_waveform
from voicefit import load_model
from voicefit.audio import STDIN
from voicefit.checkpoints.record import PRIOR
from voicefit.checkpoints.start import open_start
from voicefit.cli.tables import prediction_table
from voicefit.errors import VoicefitError
from voicefit.prediction.model import Prediction, split_model
from voicefit.system.hub import locate


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a folder of clips and a clip."""
    monkeypatch.chdir(tmp_path)
    build_wav2vec2_group_norm(tmp_path / "model")
    (tmp_path / "clips").mkdir()
    for name in ("clip.wav", "clips/1.wav"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "model", "audio"),
    [
        (["model", "clip.wav"], "model", ["clip.wav"]),
        (["model", "clips", "clip.wav"], "model", ["clips", "clip.wav"]),
        (["me/on-the-hub", "clip.wav"], "me/on-the-hub", ["clip.wav"]),
        (["mini", "clip.wav"], "mini", ["clip.wav"]),
        (["clip.wav"], "mini", ["clip.wav"]),
        (["clips"], "mini", ["clips"]),
        (["clip.wav", "clips"], "mini", ["clip.wav", "clips"]),
        (["-"], "mini", [str(STDIN)]),
        (["-", "clip.wav"], "mini", [str(STDIN), "clip.wav"]),
        (["absent.wav"], "mini", ["absent.wav"]),
        (["absent.wav", "clip.wav"], "mini", ["absent.wav", "clip.wav"]),
        (["absent.m4a", "clip.wav"], "mini", ["absent.m4a", "clip.wav"]),
    ],
)
def test_audio_first_means_the_model_that_comes_with_voicefit(folder, arguments, model, audio):
    assert split_model(arguments) == (model, [Path(name) for name in audio])


def test_a_model_without_audio_is_told(folder):
    with pytest.raises(VoicefitError, match="model: is a model; give audio files after it"):
        split_model(["model"])


def test_mini_is_a_name_unless_a_folder_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("mini").folder == Path(voicefit.__file__).parent / "mini"
    (tmp_path / "mini").mkdir()
    assert locate("mini").folder == Path("mini")


def test_a_checkpoint_tells_its_corpora_s_labels_before_any_shot(start):
    """By hand: each label's head of the prior in discriminant coordinates, less the log-odds of one label in three."""
    model = load_model(start)
    assert model.labels == list(LABELS)
    waveform = make_waveform(0.5)
    encoder, prior = open_start(start).encoder, make_prior(16)
    point = prior.project(encoder.embed(waveform))[0]
    odds = np.exp(prior.heads @ point + prior.biases - np.log(2))
    found = model.predict(waveform).probabilities
    assert [found[label] for label in LABELS] == pytest.approx(odds / odds.sum(), abs=1e-4)


def test_a_checkpoint_without_a_prior_is_no_model(start, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in start.iterdir():
        if path.name != PRIOR:
            (copy / path.name).write_bytes(path.read_bytes())
    with pytest.raises(VoicefitError, match="cannot tell labels; run `voicefit adapt"):
        load_model(copy)


def test_of_many_labels_the_likeliest_are_shown():
    labels = list("abcdefgh")
    chances = dict(zip(labels, (0.01, 0.3, 0.02, 0.5, 0.03, 0.1, 0.02, 0.02), strict=True))
    console = Console(width=80, file=StringIO())
    console.print(prediction_table([Prediction("x.wav", "d", chances), Prediction("y.wav", "", {}, "empty")], labels))
    assert [line.split() for line in console.file.getvalue().splitlines()] == [
        ["file", "likeliest"],
        ["x.wav", "d", "0.500,", "b", "0.300,", "f", "0.100"],
        ["y.wav", "empty"],
    ]
