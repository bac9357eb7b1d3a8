import csv
import io
import json
import sys

import numpy as np
import pytest
import soundfile

from support.adapted_models import build_adapted
from support.tiny_models import make_waveform
from voicefit.audio import AudioError
from voicefit.cli import app as cli
from voicefit.errors import VoicefitError
from voicefit.prediction.model import load_model
from voicefit.prediction.timeline import labels_text, timeline, timelines


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


def test_windows_that_lie_close_have_times_of_their_own(predict, tmp_path):
    soundfile.write(tmp_path / "talk.wav", make_waveform(1.99), 16_000)
    labels = tmp_path / "a.csv"
    table = predict(tmp_path / "talk.wav", "--window", "0.5", "--hop", "0.125")[1].rstrip().splitlines()
    times = [line.split()[:2] for line in table[-3:]]
    assert times == [["0:01.25", "0:01.75"], ["0:01.38", "0:01.88"], ["0:01.49", "0:01.99"]]
    code, _, err = predict(tmp_path / "talk.wav", "--window", "1.9", "--hop", "0.0005", "--labels", labels)
    assert code == 0, err
    starts = [row["start"] for row in csv.DictReader(labels.read_text().splitlines())]
    assert len(starts) > 100 and len(set(starts)) == len(starts) and starts[1] == "0.0005"


def test_a_figure_without_windows_is_refused(predict, tmp_path):
    code, _, err = predict("x.wav", "--figure", tmp_path / "x.svg")
    assert code == 2
    assert "give --window too" in err


def test_a_long_recording_is_read_window_by_window_and_says_the_same(model, tmp_path, monkeypatch):
    waveform = make_waveform(7.3)
    soundfile.write(tmp_path / "a.wav", waveform, 16_000, subtype="FLOAT")
    whole = timeline(model, waveform, window=1.0, hop=0.7)
    monkeypatch.setattr("voicefit.audio.reading._BLOCK_SAMPLES", 3001)
    monkeypatch.setattr("voicefit.audio.limits.MAX_FRAMES", 16_000)  # which holds for what is read at once
    (found,) = timelines(model, [tmp_path / "a.wav"], 1.0, 0.7)
    assert found.starts.tolist() == whole.starts.tolist()
    assert np.allclose(found.probabilities, whole.probabilities, atol=1e-6)
    assert found.ends[-1] == pytest.approx(7.3, abs=1e-3)
    assert len(found.outline) == 730 and np.allclose(found.outline, whole.outline)
    # A hop longer than a window leaves gaps.
    assert timelines(model, [tmp_path / "a.wav"], 1.0, 3.0)[0].starts.tolist() == pytest.approx([0, 3, 6, 6.3])


def test_silence_has_no_label(model, tmp_path):
    waveform = np.r_[make_waveform(2.0), np.zeros(32_000, np.float32), make_waveform(2.0)]
    found = timeline(model, waveform, window=1.0, hop=1.0)
    assert [label == "" for *_, label, _ in found.windows()] == [False, False, True, True, False, False]
    stretches = list(found.stretches())
    assert stretches[0][0] == 0 and stretches[-1][1] == 6
    assert all(end <= 2 or start >= 4 for start, end, _ in stretches)
    soundfile.write(tmp_path / "a.wav", waveform, 16_000)


def test_labels_for_audacity_and_rows_for_a_spreadsheet(model, tmp_path):
    found = timeline(model, np.r_[make_waveform(2.0), np.zeros(32_000, np.float32)], 1.0, 1.0, "talk.wav")
    track = labels_text([found], tmp_path / "a.txt").splitlines()
    assert track[0].split("\t")[0] == "0.000" and track[-1].split("\t")[1] == "2.000"
    rows = list(csv.DictReader(labels_text([found], tmp_path / "a.csv").splitlines()))
    assert [row["start"] for row in rows] == ["0.000", "1.000", "2.000", "3.000"]
    assert rows[-1]["label"] == "" and rows[0]["file"] == "talk.wav"
    with pytest.raises(VoicefitError, match=r"\.txt for Audacity, or as \.csv"):
        labels_text([found], tmp_path / "a.srt")
    with pytest.raises(VoicefitError, match="of one recording, and 2 were given"):
        labels_text([found, found], tmp_path / "a.txt")


@pytest.mark.parametrize("array", [np.zeros(16_000, np.int16), np.zeros((16_000, 2)), np.full(16_000, np.nan)])
def test_what_is_no_waveform_is_refused(model, array):
    with pytest.raises(AudioError):
        timeline(model, array, 1.0, 1.0)
    with pytest.raises(AudioError):
        model.predict(array)


def test_a_prediction_says_what_was_not_heard(model, tmp_path):
    long = make_waveform(model.max_seconds + 2)
    assert (
        f"first {model.max_seconds:g} of {model.max_seconds + 2:.1f} s were read; --window"
        in model.predict(long).remark
    )
    assert "nearly silent" in model.predict(np.zeros(16_000, np.float32)).remark
    assert model.predict(make_waveform(1.0)).remark == ""
    soundfile.write(tmp_path / "a.wav", np.stack([long, -long], axis=1), 16_000)
    (found,) = model.predict_files([tmp_path / "a.wav"])
    assert "cancel each other out" in found.remark and "were read" in found.remark
    (one,) = model.predict_files([tmp_path / "a.wav"], channel=2)
    assert "cancel" not in one.remark
