import io
import json
import sys

import pytest
import soundfile

from support.adapted_models import build_adapted
from support.tiny_models import make_waveform
from voicefit.cli import app as cli
from voicefit.errors import VoicefitError
from voicefit.prediction.model import load_model
from voicefit.prediction.timeline import timeline, timelines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_adapted(tmp_path_factory.mktemp("timeline"), "wav2vec2-group-norm")


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


def test_every_window_says_what_its_samples_say_alone(model):
    waveform = make_waveform(3.3)
    found = timeline(model, waveform, window=1.0, hop=0.5)
    assert found.starts.tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.3])
    assert found.ends.tolist() == pytest.approx([1, 1.5, 2, 2.5, 3, 3.3])
    for start, end, label, chances in found.windows():
        alone = model.predict(waveform[round(16_000 * start) : round(16_000 * end)])
        assert (label, chances) == (alone.label, pytest.approx(alone.probabilities, abs=1e-6))


def test_windows_that_end_with_the_recording_are_not_doubled(model):
    assert timeline(model, make_waveform(3.0), window=1.0, hop=1.0).starts.tolist() == [0, 1, 2]


def test_a_recording_shorter_than_a_window_is_one_window(model):
    found = timeline(model, make_waveform(0.4), window=1.0, hop=0.5)
    assert (found.starts.tolist(), found.ends.tolist()) == ([0], [0.4])


@pytest.mark.parametrize(
    ("window", "hop", "words"),
    [
        (6, 1, "--window 6"),
        (0.01, 1, "--window 0.01"),
        (float("nan"), 1, "--window nan"),
        (1, 0, "--hop 0"),
        (1, float("nan"), "--hop nan"),
        (1, float("inf"), "--hop inf"),
    ],
)
def test_windows_that_the_model_cannot_hear_are_refused(model, window, hop, words):
    with pytest.raises(VoicefitError, match=words):
        timeline(model, make_waveform(1.0), window, hop)


def test_a_file_that_cannot_be_used_keeps_its_place(model, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio")
    soundfile.write(tmp_path / "b.wav", make_waveform(1.0), 16_000)
    bad, good = timelines(model, [tmp_path], 0.5, 0.5)
    assert "not readable" in bad.error and list(bad.windows()) == []
    assert not good.error and len(list(good.windows())) == 2


@pytest.fixture
def predict(folder, monkeypatch, capsys):
    """Run `voicefit predict` on the model; exit code, standard output and standard error."""

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["voicefit", "predict", *map(str, (folder, *arguments))])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_standard_input_is_a_file_like_any_other(predict, model, tmp_path):
    soundfile.write(tmp_path / "a.flac", make_waveform(1.0), 16_000)
    code, out, err = predict("-", "--json", stdin=(tmp_path / "a.flac").read_bytes())
    assert code == 0, err
    (found,) = json.loads(out)
    assert found["file"] == "-"
    assert found["probabilities"] == pytest.approx(model.predict(tmp_path / "a.flac").probabilities, abs=1e-6)
    code, _, err = predict("-", stdin=b"not audio")
    assert code == 2
    assert "none of the files" in err


def test_a_long_recording_as_json_table_and_picture(predict, tmp_path):
    soundfile.write(tmp_path / "talk.wav", make_waveform(2.0), 16_000)
    arguments = (tmp_path / "talk.wav", "--window", "1", "--hop", "0.5")
    code, out, err = predict(*arguments, "--figure", tmp_path / "talk.png", "--json")
    assert code == 0, err
    (found,) = json.loads(out)
    assert [(w["start"], w["end"]) for w in found["windows"]] == [(0, 1), (0.5, 1.5), (1, 2)]
    assert (tmp_path / "talk.png").read_bytes().startswith(b"\x89PNG")
    table = predict(*arguments)[1].rstrip().splitlines()
    assert [line.split()[:2] for line in table[-3:]] == [["0:00", "0:01"], ["0:00.5", "0:01.5"], ["0:01", "0:02"]]


def test_a_figure_without_windows_is_refused(predict, tmp_path):
    code, _, err = predict("x.wav", "--figure", tmp_path / "x.svg")
    assert code == 2
    assert "give --window too" in err
