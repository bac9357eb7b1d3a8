"""Clips of one voice labelled together."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file, save_file

import voicefit
from support.tiny_models import LABELS, make_waveform
from voicefit import load_model
from voicefit.audio import SAMPLE_RATE
from voicefit.checkpoints.record import PRIOR, RECORD
from voicefit.errors import VoicefitError
from voicefit.prediction.together import predict_together


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for index in range(6):
        soundfile.write(folder / f"{index}.wav", make_waveform(0.3 + 0.1 * index, index), SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def adapted(start, clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapted")
    for index, label in enumerate(LABELS):
        (folder / "shots" / label).mkdir(parents=True)
        shutil.copy(clips / f"{index}.wav", folder / "shots" / label)
    voicefit.adapt(start, folder / "shots", out=folder / "model")
    return folder / "model"


@pytest.mark.parametrize("which", ["start", "adapted"])
def test_every_file_has_an_answer_or_a_reason(which, clips, request, tmp_path):
    folder = tmp_path / "more"
    shutil.copytree(clips, folder)
    (folder / "broken.wav").write_bytes(b"not audio")
    model, found = predict_together(request.getfixturevalue(which), [folder])
    assert len(found) == 7
    assert [item.error != "" for item in found] == [item.file.endswith("broken.wav") for item in found]
    for item in found:
        if not item.error:
            assert sum(item.probabilities.values()) == pytest.approx(1, abs=1e-5)
            assert list(item.probabilities) == model.labels


def test_the_order_of_files_does_not_matter(adapted, clips):
    files = sorted(clips.iterdir())
    first = {item.file: item.probabilities for item in predict_together(adapted, files)[1]}
    second = {item.file: item.probabilities for item in predict_together(adapted, files[::-1])[1]}
    for file, chances in first.items():
        assert second[file] == pytest.approx(chances, abs=1e-4)


def test_one_file_alone_has_the_model_s_own_answer_or_nearly(adapted, clips):
    alone = load_model(adapted).predict(clips / "0.wav").probabilities
    (found,) = predict_together(adapted, [clips / "0.wav"])[1]
    assert np.argmax(list(found.probabilities.values())) == np.argmax(list(alone.values()))


def test_what_the_mixture_begins_at_does_not_depend_on_the_model_s_temperature(start, adapted, clips, tmp_path):
    model = tmp_path / "model"
    voicefit.adapt(start, adapted.parent / "shots", out=model, unlabelled=clips)
    before = predict_together(model, [clips])[1]
    record = json.loads((model / RECORD).read_text())
    assert record["method"] == "joint" and record["temperature"] > 1
    weights = load_file(model / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] *= np.float32(record["temperature"])
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    (model / RECORD).write_text(json.dumps({**record, "temperature": 1.0}))
    for one, other in zip(before, predict_together(model, [clips])[1], strict=True):
        assert one.label == other.label
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_a_model_that_knows_nothing_of_voices_is_refused(adapted, clips, tmp_path):
    shutil.copytree(adapted, tmp_path / "model")
    (tmp_path / "model" / PRIOR).unlink()
    with pytest.raises(VoicefitError, match=r"cannot label clips together, since it holds no prior\.safetensors"):
        predict_together(tmp_path / "model", [clips])
