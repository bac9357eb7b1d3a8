from pathlib import Path

import numpy as np
import pytest
import torch

from voicefit.corpora import Clip
from voicefit.heads import discriminants
from voicefit.heads.discriminants import in_double, scatter_of


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
