"""What is unlike every label of a voice."""

import json

import numpy as np
import pytest

from support.tiny_models import make_prior
from voicefit.errors import VoicefitError
from voicefit.heads.novelty import Novelty, posterior_means

SIZE = 6


def voice(clips=5, labels=2, seed=0):
    """A prior, and a voice whose labels lie apart along the first discriminant."""
    prior = make_prior(SIZE)
    generator = np.random.default_rng(seed)
    targets = np.repeat(np.arange(labels), clips)
    points = generator.normal(size=(len(targets), prior.basis.shape[1]))
    points[:, 0] += 5 * targets
    return prior, prior.origin + points @ np.linalg.pinv(prior.basis), targets


def test_distance_is_that_of_the_nearest_label():
    prior, pooled, targets = voice()
    novelty = Novelty.of_shots(prior, pooled, targets, 2)
    places = prior.origin + novelty.means @ np.linalg.pinv(prior.basis)
    assert novelty.distance(places) == pytest.approx(0, abs=1e-12)
    between = novelty.distance(places.mean(axis=0))
    assert between[0] > 0
    beyond = prior.origin + (2 * novelty.means[1] - novelty.means[0]) @ np.linalg.pinv(prior.basis)
    apart = ((novelty.means[1] - novelty.means[0]) ** 2 / novelty.variances[1]).mean()
    assert novelty.distance(beyond) == pytest.approx(apart / 3)


def test_clips_of_the_labels_lie_within_the_limit_and_others_beyond():
    prior, pooled, targets = voice(clips=5)
    novelty = Novelty.of_shots(prior, pooled, targets, 2)
    _, others, _ = voice(clips=200, seed=1)
    assert (novelty.distance(others) > 1).mean() < 0.05
    far = prior.origin + 8 * np.ones(prior.basis.shape[1]) @ np.linalg.pinv(prior.basis)
    assert novelty.distance(far)[0] > 1


def test_many_clips_leave_their_mean_and_no_clip_that_of_the_voice():
    prior, _, _ = voice()
    counts, sums = np.array([1e6, 0.0]), np.array([[2e6, 0.0, 0.0], [0.0, 0.0, 0.0]])[:, : prior.basis.shape[1]]
    means, variance = posterior_means(prior, counts, sums)
    assert means[0] == pytest.approx(sums[0] / 1e6, abs=1e-4)
    assert variance[0] == pytest.approx(0, abs=1e-4)
    assert 0 < means[1, 0] < 2
    assert variance[1] == pytest.approx(prior.signal[: sums.shape[1]])


def test_a_record_holds_it():
    prior, pooled, targets = voice()
    novelty = Novelty.of_shots(prior, pooled, targets, 2)
    record = json.loads(json.dumps({"novelty": novelty.to_record()}))
    again = Novelty.of_record(prior, record, "m")
    assert again.distance(pooled) == pytest.approx(novelty.distance(pooled), rel=1e-3)
    with pytest.raises(VoicefitError, match="m: cannot tell what is none of its labels; adapt anew"):
        Novelty.of_record(prior, {}, "m")
    for broken in ({}, {"means": [[1.0]]}, {"means": "x", "variances": "x"}, {"means": [[1.0]], "variances": [[1, 2]]}):
        with pytest.raises(VoicefitError, match="damaged"):
            Novelty.of_record(prior, {"novelty": broken}, "m")
