import numpy as np
import pytest
import torch
from torch import nn

from voicefit.heads.head import Head, Projection


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Linear(5, 4), nn.Linear(4, 3)


def head_of(layers) -> Head:
    return Head(*(part.detach().numpy() for layer in layers for part in (layer.weight, layer.bias)))


def test_a_head_is_two_linear_layers(layers):
    projector, classifier = layers
    pooled = torch.randn(7, 5)
    expected = classifier(projector(pooled)).detach().numpy()
    np.testing.assert_allclose(head_of(layers)(pooled.numpy()), expected, rtol=1.3e-6, atol=1e-5)


def test_projecting_the_mean_is_the_mean_of_the_projected_frames(layers):
    """`transformers` projects every frame and averages then; Voicefit pools first."""
    projector, classifier = layers
    frames = torch.randn(2, 9, 5)
    expected = classifier(projector(frames).mean(1)).detach().numpy()
    np.testing.assert_allclose(head_of(layers)(frames.mean(1).numpy()), expected, rtol=1.3e-6, atol=1e-5)


def test_a_projection_is_the_first_of_the_two(layers):
    projector, _ = layers
    pooled = torch.randn(7, 5)
    projection = Projection(*(part.detach().numpy() for part in (projector.weight, projector.bias)))
    expected = projector(pooled).detach().numpy()
    np.testing.assert_allclose(projection.project(pooled.numpy()), expected, rtol=1.3e-6, atol=1e-5)


def test_a_head_is_in_float32_whatever_it_is_made_of_and_answers_in_it(layers):
    single = head_of(layers)
    double = Head(*(np.asfortranarray(getattr(single, name), np.float64) for name in (
        "projector_weight", "projector_bias", "classifier_weight", "classifier_bias"
    )))  # fmt: skip
    pooled = np.random.default_rng(0).normal(size=(7, 5))
    assert {part.dtype for part in vars(double).values() if isinstance(part, np.ndarray)} == {np.dtype(np.float32)}
    assert double(pooled).dtype == np.float32
    assert np.array_equal(double(pooled), single(pooled.astype(np.float32)))
