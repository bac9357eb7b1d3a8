from pathlib import Path

import numpy as np
import pytest
import torch

from voicefit.corpora import Clip
from voicefit.errors import VoicefitError
from voicefit.heads.learn_prior import learn_prior
from voicefit.heads.prior import Prior

EMOTIONS = {"anger": (3.0, 0.0), "neutral": (-1.0, 1.0), "sadness": (-2.0, -1.0)}


def clip(speaker: str, label: str) -> Clip:
    return Clip("", Path(), speaker, label)


def voices(labels, speakers=4, per_label=12, seed=0, size=6):
    """Clips of speakers that differ in where they are, not in how emotions differ: pooled vectors and clips."""
    generator = np.random.default_rng(seed)
    vectors, clips = [], []
    for speaker in range(speakers):
        place = generator.normal(size=size)
        for label in labels:
            emotion = np.array([*EMOTIONS[label], *[0.0] * (size - 2)])
            vectors.append(place + emotion + generator.normal(size=(per_label, size)))
            clips += [clip(f"s{speaker}", label)] * per_label
    return np.vstack(vectors), clips


def learn(**corpora):
    pooled = {name: torch.from_numpy(vectors) for name, (vectors, _) in corpora.items()}
    return learn_prior(pooled, {name: clips for name, (_, clips) in corpora.items()})


@pytest.fixture(scope="module")
def prior():
    return learn(one=voices(EMOTIONS, seed=1), two=voices(["anger", "sadness"], seed=2))


def test_heads_tell_the_emotions_of_speakers_that_were_not_heard(prior):
    pooled, clips = voices(EMOTIONS, seed=3)
    logits = prior.project(pooled) @ prior.heads.T + prior.biases
    for index, label in enumerate(prior.labels):
        carries = np.array([clip.label == label for clip in clips])
        assert logits[carries, index].mean() > 1 > -1 > logits[~carries, index].mean()


def test_labels_that_two_corpora_have_are_shared(prior):
    assert (prior.labels, prior.shared) == (("anger", "neutral", "sadness"), 2)
    assert learn(one=voices(EMOTIONS)).shared == 3


def test_corpora_and_labels_count_the_same_whatever_their_size():
    one = (np.array([[0.0, 0.0]] * 9 + [[2.0, 0.0]]), [clip("a", "anger")] * 9 + [clip("a", "neutral")])
    two = (np.array([[4.0, 3.0], [4.0, 5.0]]), [clip("b", "anger"), clip("b", "neutral")])
    prior = learn(one=one, two=two)
    assert prior.origin == pytest.approx([2.5, 2.0])  # of (1, 0) and (4, 4)
    away = (np.array([1.0, 0.0]) + np.array([0.0, 1.0])) / 2
    assert prior.neutral == pytest.approx(away @ prior.basis)
    assert prior.speakers == pytest.approx(((np.array([1.5, 2.0])) @ prior.basis) ** 2)


def test_directions_fall_in_signal_and_noise_has_unit_variance():
    prior = learn(one=voices(EMOTIONS, speakers=20, per_label=40))
    assert (np.diff(prior.signal) <= 0).all()
    assert prior.signal[0] > 3 * prior.signal[2]
    pooled, clips = voices(EMOTIONS, speakers=1, per_label=2000, seed=9)
    angry = prior.project(pooled[[clip.label == "anger" for clip in clips]])
    assert angry.var(axis=0) == pytest.approx(np.ones(angry.shape[1]), abs=0.15)


def test_a_label_that_only_a_corpus_of_one_label_has_gets_no_head():
    only = (np.random.default_rng(0).normal(size=(5, 6)), [clip("x", "calm")] * 5)
    prior = learn(one=voices(EMOTIONS), only=only)
    assert not prior.heads[prior.labels.index("calm")].any()
    assert prior.heads[prior.labels.index("anger")].any()


def test_what_is_saved_is_loaded(prior, tmp_path):
    prior.save(tmp_path / "prior.safetensors")
    loaded = Prior.load(tmp_path / "prior.safetensors")
    assert (loaded.labels, loaded.shared) == (prior.labels, prior.shared)
    for name in ("origin", "basis", "signal", "speakers", "neutral", "heads", "biases"):
        assert getattr(loaded, name) == pytest.approx(getattr(prior, name), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("content", [b"", b"not tensors", b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, content):
    path = tmp_path / "prior.safetensors"
    path.write_bytes(content)
    with pytest.raises(VoicefitError, match=r"prior\.safetensors: is damaged"):
        Prior.load(path)
