from pathlib import Path

import numpy as np
import pytest
import torch

from voicefit.corpora import Clip
from voicefit.heads import discriminants
from voicefit.heads.discriminants import discriminant_projector, in_double, scatter_of


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_means_and_covariance_are_those_of_all_vectors_at_once(rows, monkeypatch):
    monkeypatch.setattr(discriminants, "_ROWS_IN_DOUBLE", rows)
    names = [("ann", "calm"), ("bob", "anger"), ("ann", "anger")] * 9 + [("bob", "calm")]
    clips = [Clip("", Path(), speaker, label) for speaker, label in names]
    vectors = torch.randn(len(clips), 5, generator=torch.Generator().manual_seed(0)) + 3
    found = scatter_of(vectors, clips)
    classes = list(zip(found.speakers, found.labels, strict=True))
    assert classes == [("ann", "anger"), ("ann", "calm"), ("bob", "anger"), ("bob", "calm")]
    assert found.counts.tolist() == [9, 9, 9, 1]
    mine = [vectors.double().numpy()[[name == wanted for name in names]] for wanted in classes]
    np.testing.assert_allclose(found.means, [part.mean(axis=0) for part in mine])
    residuals = np.vstack([part - part.mean(axis=0) for part in mine])
    np.testing.assert_allclose(found.within, residuals.T @ residuals / len(clips))


def test_no_vectors_are_one_empty_part():
    ((rows, part),) = in_double(torch.zeros(0, 4))
    assert (part.shape, part.dtype) == ((0, 4), np.float64)
    assert len(torch.zeros(0)[rows]) == 0


def make_speakers(generator, nuisance, emotion):
    """Two speakers × two emotions × 50 clips in 4 dimensions: emotion in the first, nuisance in the second."""
    vectors, clips = [], []
    for speaker, base in (("a", 5.0), ("b", -3.0)):
        for label, sign in (("anger", 1), ("calm", -1)):
            noise = generator.normal(size=(50, 4)) * [1, nuisance, 1, 1]
            vectors.append(noise + base + np.array([sign * emotion, 0, 0, 0]))
            clips += [Clip(f"{speaker}/{label}/{i}", Path("none"), speaker, label) for i in range(50)]
    return torch.from_numpy(np.concatenate(vectors)).float(), clips


def test_the_first_discriminant_is_the_emotion_and_neither_the_voice_nor_the_nuisance():
    vectors, clips = make_speakers(np.random.default_rng(0), nuisance=20, emotion=2)
    projector = discriminant_projector({"made": vectors}, {"made": clips}, width=2)
    projected = projector(vectors).detach()
    direction = projector.weight[0].detach().abs()
    assert direction[0] > 10 * direction[1:].max()
    assert projected.mean(0).abs().max() < 1e-4
    for speaker in ("a", "b"):
        mine = torch.tensor([clip.speaker == speaker for clip in clips])
        angry = torch.tensor([clip.label == "anger" for clip in clips])
        gap = projected[mine & angry, 0].mean() - projected[mine & ~angry, 0].mean()
        # 4 apart at a deviation of 1, which the shrinkage towards the mean variance of 101 widens to about 5.5.
        assert 0.5 < abs(gap) < 4


def test_a_large_corpus_counts_no_more_than_a_small_one():
    vectors, clips = make_speakers(np.random.default_rng(0), nuisance=20, emotion=2)
    other, other_clips = make_speakers(np.random.default_rng(1), nuisance=1, emotion=0.1)
    once = discriminant_projector({"x": vectors, "y": other}, {"x": clips, "y": other_clips}, 1)
    tenfold = discriminant_projector({"x": vectors, "y": other.repeat(10, 1)}, {"x": clips, "y": other_clips * 10}, 1)
    assert torch.allclose(once.weight.abs(), tenfold.weight.abs(), rtol=1e-3, atol=1e-6)


def test_discriminants_of_one_clip_per_class_are_finite():
    vectors, clips = make_speakers(np.random.default_rng(0), nuisance=1, emotion=2)
    projector = discriminant_projector({"made": vectors[::50]}, {"made": clips[::50]}, 3)
    assert projector.weight.isfinite().all()
