from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from voicefit.corpora import Clip
from voicefit.heads.corpus_heads import CorpusHeads
from voicefit.heads.discriminants import discriminant_projector
from voicefit.heads.head import Head

LABELS = {"ravdess": ["anger", "calm", "fear"], "v1.0": ["anger", "neutral"], "type": ["joy", "rage"]}


def test_a_head_is_two_linear_layers():
    torch.manual_seed(0)
    projector, classifier = nn.Linear(5, 4), nn.Linear(4, 3)
    head = Head(projector.weight, projector.bias, classifier.weight, classifier.bias)
    pooled = torch.randn(7, 5)
    torch.testing.assert_close(head(pooled), classifier(projector(pooled)))


def test_projecting_the_mean_is_the_mean_of_the_projected_frames():
    """`transformers` projects every frame and averages then; Voicefit pools first."""
    torch.manual_seed(0)
    projector, classifier = nn.Linear(5, 4), nn.Linear(4, 3)
    head = Head(projector.weight, projector.bias, classifier.weight, classifier.bias)
    frames = torch.randn(2, 9, 5)
    torch.testing.assert_close(head(frames.mean(1)), classifier(projector(frames).mean(1)))


@pytest.mark.parametrize("corpus", LABELS)
def test_every_corpus_has_its_own_rows_of_the_stack(corpus):
    heads = CorpusHeads(LABELS, 4)
    projected = torch.randn(6, 4)
    weight, bias, names = heads.stacked()
    assert weight.shape == (7, 4)
    assert names == [
        "ravdess/anger", "ravdess/calm", "ravdess/fear",
        "v1.0/anger", "v1.0/neutral",
        "type/joy", "type/rage",
    ]  # fmt: skip
    rows = [index for index, name in enumerate(names) if name.startswith(f"{corpus}/")]
    logits = heads(projected, corpus)
    assert logits.shape == (6, len(LABELS[corpus]))
    torch.testing.assert_close(logits, projected @ weight[rows].T + bias[rows])


def test_the_stack_is_a_copy_without_gradient():
    heads = CorpusHeads(LABELS, 4)
    weight, bias, _ = heads.stacked()
    assert not weight.requires_grad
    assert not bias.requires_grad
    before = heads(torch.ones(1, 4), "ravdess").detach().clone()
    weight.zero_()
    torch.testing.assert_close(heads(torch.ones(1, 4), "ravdess").detach(), before)


def test_a_loss_reaches_its_own_head_alone():
    heads = CorpusHeads(LABELS, 4)
    heads(torch.ones(1, 4), "v1.0").sum().backward()
    assert [head.weight.grad is not None for head in heads.linear] == [False, True, False]


def test_an_unknown_corpus_is_an_error():
    with pytest.raises(ValueError, match="tess"):
        CorpusHeads(LABELS, 4)(torch.ones(1, 4), "tess")


# Discriminants


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
