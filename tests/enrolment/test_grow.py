"""A model that grows is the model of all its clips at once."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import voicefit
from support.layouts import write_noise
from support.tiny_models import build_start
from support.voices import write_clips
from voicefit.checkpoints.support import SHOTS, read_support
from voicefit.errors import VoicefitError
from voicefit.system.hub import locate


def weights(model):
    """The head of a small model, or all weights of a whole one."""
    (path,) = [model / name for name in ("head.safetensors", "model.safetensors") if (model / name).is_file()]
    return load_file(path)


def assert_equal(one, other):
    """To the last bit."""
    found, expected = weights(one), weights(other)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not np.array_equal(found[name], expected[name])] == []
    records = [json.loads((model / "voicefit.json").read_text()) for model in (one, other)]
    assert records[0] == records[1]
    supports = [read_support(locate(model)) for model in (one, other)]
    for (first, digest), (second, expected_digest) in [supports]:
        assert digest == expected_digest
        assert (first.digests, first.labels, first.named) == (second.digests, second.labels, second.named)
        assert np.array_equal(first.pooled, second.pooled)
        assert np.array_equal(first.unlabelled, second.unlabelled)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("method", ["prior", "head", "prototype"])
def test_clips_in_two_steps_give_the_model_of_all_at_once(voice, method, small):
    options = {"method": method, "small": small}
    voicefit.adapt("mini", voice / "all", out=voice / "whole", **options)
    voicefit.adapt("mini", voice / "first", out=voice / "one", **options)
    grown = voicefit.grow(voice / "one", voice / "then", out=voice / "two")
    assert grown.shots == {"anger": 2, "neutral": 2, "sadness": 2}
    assert "3 clips of the model kept, 3 added, 0 given another label" in grown.remarks
    assert_equal(voice / "two", voice / "whole")
    assert grown.model.predict(voice / "all/anger/1.wav") == voicefit.load_model(voice / "whole").predict(
        voice / "all/anger/1.wav"
    )


def test_the_order_of_the_steps_does_not_matter(voice):
    voicefit.adapt("mini", voice / "first", out=voice / "a", unlabelled=voice / "recordings")
    voicefit.grow(voice / "a", voice / "then", out=voice / "ab")
    shutil.copytree(voice / "all" / "neutral", voice / "then" / "neutral")
    voicefit.adapt("mini", voice / "then", out=voice / "b")
    grown = voicefit.grow(voice / "b", voice / "first", out=voice / "ba", unlabelled=voice / "recordings")
    assert grown.method == "joint"
    assert "2 clips given again: the model has them already" in grown.remarks
    voicefit.adapt("mini", voice / "all", out=voice / "whole", unlabelled=voice / "recordings")
    for model in ("ab", "ba"):
        assert_equal(voice / model, voice / "whole")


def test_a_start_without_a_graph_gives_the_same_both_ways(voice, start):
    for clips, out in (("all", "whole"), ("first", "one")):
        voicefit.adapt(start, voice / clips, out=voice / out)
    voicefit.grow(voice / "one", voice / "then", out=voice / "two")
    assert_equal(voice / "two", voice / "whole")


def test_a_clip_is_corrected_whatever_its_file_is_called(voice):
    voicefit.adapt("mini", voice / "all", out=voice / "wrong")
    (voice / "better" / "sad").mkdir(parents=True)
    shutil.copy(voice / "all/anger/2.wav", voice / "better/sad/that-one.wav")
    grown = voicefit.grow(voice / "wrong", voice / "better", out=voice / "right")
    assert grown.shots == {"anger": 1, "neutral": 2, "sadness": 3}
    assert "sad/that-one.wav was anger, and is sadness now" in grown.remarks
    (voice / "all/anger/2.wav").rename(voice / "all/sadness/3.wav")
    voicefit.adapt("mini", voice / "all", out=voice / "whole")
    assert_equal(voice / "right", voice / "whole")


def test_a_label_comes_and_goes(voice):
    voicefit.adapt("mini", voice / "all", out=voice / "model")
    grown = voicefit.grow(voice / "model", write_clips(voice / "new", "my own/1", first=9), out=voice / "four")
    assert grown.model.labels == ["anger", "my_own", "neutral", "sadness"]
    grown = voicefit.grow(voice / "four", out=voice / "three", drop=["Sad"])
    assert grown.shots == {"anger": 2, "my_own": 1, "neutral": 2}
    assert "label sadness is dropped, with its 2 clips" in grown.remarks
    voicefit.grow(voice / "three", out=voice / "two", drop=["my own"])
    shutil.rmtree(voice / "all" / "sadness")
    voicefit.adapt("mini", voice / "all", out=voice / "whole")
    assert_equal(voice / "two", voice / "whole")
    with pytest.raises(VoicefitError, match="1 label has clips that can be used"):
        voicefit.grow(voice / "two", out=voice / "one", drop=["anger"])
    with pytest.raises(VoicefitError, match="has no label joy to drop; it has anger, neutral"):
        voicefit.grow(voice / "two", out=voice / "one", drop=["joy"])
    assert not (voice / "one").exists()


def test_labels_that_the_model_keeps_apart_stay_apart(voice):
    voicefit.adapt("mini", write_clips(voice / "two", "happy/1", "joy/1", "calm/1"), out=voice / "model")
    grown = voicefit.grow(voice / "model", write_clips(voice / "more", "Joy/2", first=7), out=voice / "grown")
    assert grown.shots == {"calm": 1, "happy": 1, "joy": 2}


def test_a_label_without_a_clip_stays_known_from_the_corpora(voice):
    (voice / "first" / "fear").mkdir()
    voicefit.adapt("mini", voice / "first", out=voice / "model")
    grown = voicefit.grow(voice / "model", voice / "then", out=voice / "grown")
    assert "fear" in grown.model.labels and "fear" not in grown.shots


def test_a_recording_that_gets_a_label_is_no_longer_one_without(voice):
    voicefit.adapt("mini", voice / "all", out=voice / "model", unlabelled=voice / "recordings")
    (voice / "more" / "anger").mkdir(parents=True)
    shutil.move(voice / "recordings/a.wav", voice / "more/anger/a.wav")
    grown = voicefit.grow(voice / "model", voice / "more", out=voice / "grown")
    assert "1 recording of the model had no label, and has one now" in grown.remarks
    shutil.copy(voice / "more/anger/a.wav", voice / "all/anger/a.wav")
    voicefit.adapt("mini", voice / "all", out=voice / "whole", unlabelled=voice / "recordings")
    assert_equal(voice / "grown", voice / "whole")


def test_a_recording_with_the_samples_of_a_labelled_clip_takes_no_part_twice(voice):
    shutil.copy(voice / "all/anger/1.wav", voice / "recordings/copy.wav")
    adapted = voicefit.adapt("mini", voice / "all", out=voice / "model", unlabelled=voice / "recordings")
    (left_out,) = adapted.left_out.items()
    assert left_out[0].endswith("copy.wav") and left_out[1] == "it has the samples of a labelled clip"


def test_settings_and_method_of_the_model_are_kept(voice):
    options = {"method": "prior", "settings": {"prior_shots": 2.0}}
    voicefit.adapt("mini", voice / "first", out=voice / "one", **options)
    voicefit.grow(voice / "one", voice / "then", out=voice / "two")
    voicefit.adapt("mini", voice / "all", out=voice / "whole", **options)
    assert_equal(voice / "two", voice / "whole")
    assert voicefit.grow(voice / "one", voice / "then", out=voice / "three", method="head").method == "head"


def test_what_is_kept_of_the_clips_is_no_audio_and_kilobytes(voice):
    voicefit.adapt("mini", voice / "all", out=voice / "model", unlabelled=voice / "recordings", small=True)
    kept = load_file(voice / "model" / SHOTS)
    assert {name: values.shape[0] for name, values in kept.items()} == {"pooled": 6, "unlabelled": 6}
    assert (voice / "model" / SHOTS).stat().st_size < 12 * 4 * kept["pooled"].shape[1] + 2000
    assert b"recordings/" not in (voice / "model" / SHOTS).read_bytes()  # of these, not even names


def test_a_model_grows_in_place(voice):
    voicefit.adapt("mini", voice / "first", out=voice / "model", small=True)
    voicefit.grow(voice / "model", voice / "then", out=voice / "model", overwrite=True)
    voicefit.adapt("mini", voice / "all", out=voice / "whole", small=True)
    assert_equal(voice / "model", voice / "whole")
    assert [path.name for path in voice.glob(".*")] == []


def test_what_cannot_grow_says_why(voice, tmp_path):
    start = build_start(tmp_path / "made")
    voicefit.adapt(start, voice / "first", out=voice / "model")
    cases = [
        ("mini", {}, "is no adapted model, which --from takes"),
        (voice / "model", {"method": "full"}, "method full trains the encoder, from which a model cannot grow"),
        (voice / "model", {"start": "mini"}, "was made with encoder"),
    ]
    for model, options, words in cases:
        with pytest.raises(VoicefitError, match=words):
            voicefit.grow(model, voice / "then", out=voice / "out", **options)
    with pytest.raises(VoicefitError, match="nothing to change"):
        voicefit.grow(voice / "model", out=voice / "out")
    start.rename(tmp_path / "moved")
    with pytest.raises(VoicefitError, match="which is not there; name it before the clips"):
        voicefit.grow(voice / "model", voice / "then", out=voice / "out")
    voicefit.grow(voice / "model", voice / "then", out=voice / "found", start=tmp_path / "moved")
    (voice / "model" / SHOTS).write_bytes(b"{}")
    with pytest.raises(VoicefitError, match=r"shots.safetensors: is damaged; adapt anew"):
        voicefit.grow(voice / "model", voice / "then", out=voice / "out")
    (voice / "model" / SHOTS).unlink()
    with pytest.raises(VoicefitError, match=r"has no shots.safetensors"):
        voicefit.grow(voice / "model", voice / "then", out=voice / "out")
    assert not (voice / "out").exists()


def test_a_model_whose_encoder_was_trained_does_not_grow(voice, start):
    voicefit.adapt(start, voice / "first", out=voice / "model", method="full", settings={"steps": 1})
    assert not (voice / "model" / SHOTS).exists()
    with pytest.raises(VoicefitError, match="is by method full, which trains the encoder: it cannot grow"):
        voicefit.grow(voice / "model", voice / "then", out=voice / "out")


def test_only_parts_of_a_clip_that_a_model_hears_tell_it_from_others(voice):
    """Of a file of 6 s, mini hears 5: what comes later makes it no other clip."""
    write_noise(voice / "long" / "anger" / "1.wav", 3, seconds=6.0)
    write_noise(voice / "long" / "neutral" / "1.wav", 4, seconds=1.0)
    voicefit.adapt("mini", voice / "long", out=voice / "model")
    import soundfile

    samples, rate = soundfile.read(voice / "long/anger/1.wav")
    (voice / "again" / "anger").mkdir(parents=True)
    soundfile.write(voice / "again/anger/cut.wav", samples[: int(5.5 * rate)], rate)
    grown = voicefit.grow(voice / "model", voice / "again", out=voice / "grown")
    assert grown.shots == {"anger": 1, "neutral": 1}
