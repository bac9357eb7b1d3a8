"""The method `prior` on speakers made of Gaussians, whose emotions lie the same way and who lie elsewhere."""

import numpy as np
import pytest
from scipy.optimize import minimize

from voicefit.adaptation import Shots, prior
from voicefit.adaptation.prior import Settings
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior

SIZE, LABELS = 8, ("anger", "neutral", "sadness")
CENTRES = np.array([[3.0, 0.0], [-1.0, 1.0], [-2.0, -1.0]])


@pytest.fixture(scope="module")
def known() -> Prior:
    """Coordinates are the pooled vectors themselves; heads point at each emotion."""
    signal = np.array([6.0, 2.0, *[0.1] * (SIZE - 2)])
    heads = np.pad(CENTRES, ((0, 0), (0, SIZE - 2)))
    neutral = np.pad(CENTRES[1], (0, SIZE - 2))
    return Prior(LABELS, 3, np.zeros(SIZE), np.eye(SIZE), signal, 4 * np.ones(SIZE), neutral, heads, -np.ones(3))


def clips_of(label: int, count: int, seed: int, place: float = 0.0) -> np.ndarray:
    noise = np.random.default_rng([seed, label]).normal(size=(count, SIZE))
    return noise + np.pad(CENTRES[label], (0, SIZE - 2)) + place


def one_vs_rest(known, label="anger", each=2, place=0.0, unlabelled=None, seed=0) -> Shots:
    index = LABELS.index(label) if label in LABELS else 0
    positive = clips_of(index, each, seed, place)
    others = np.vstack([clips_of(other, each, seed, place) for other in range(3) if other != index])[::2]
    pooled = np.vstack([positive, others]).astype(np.float32)
    targets = np.array([1] * each + [0] * len(others))
    more = np.empty((0, SIZE), np.float32) if unlabelled is None else unlabelled.astype(np.float32)
    return Shots(pooled, [], targets, 2, labels=("other", label), unlabelled=more, prior=known)


def log_odds(head, vectors) -> np.ndarray:
    logits = head(vectors)
    return logits[:, 1] - logits[:, 0]


@pytest.mark.parametrize(("label", "prior_shots"), [("anger", 8.0), ("anger", 0.0), ("boredom", 8.0)])
def test_the_mode_is_that_of_logistic_regression_about_the_faded_head(known, label, prior_shots):
    """Against the primal problem: weights about w0 with variance `spread`, bias about b0 with variance 10."""
    shots = one_vs_rest(known, label, each=4)
    k = len(shots.targets)
    fade = prior_shots / (prior_shots + k) if label in LABELS else 0.0
    w0, b0 = fade * known.heads[0], fade * known.biases[0]
    spread = 64 * known.signal**0.25 / (known.signal**0.25).sum()
    vectors, sign = shots.pooled.astype(np.float64), 2 * shots.targets - 1

    def cost(given):
        weight, bias = given[:-1], given[-1]
        loss = np.logaddexp(0, -sign * (vectors @ weight + bias)).sum()
        return loss + (((weight - w0) ** 2) / spread).sum() / 2 + (bias - b0) ** 2 / 20

    best = minimize(cost, np.zeros(SIZE + 1), tol=1e-12).x
    found = log_odds(prior.fit(None, shots, Settings(prior_shots=prior_shots), 0), vectors)
    expected = vectors @ best[:-1] + best[-1] - 0.5 * np.log(2)  # threshold: half the odds of one label in three
    assert found == pytest.approx(expected, abs=2e-3)


def test_a_label_that_no_corpus_has_is_learnt_from_the_shots_alone(known):
    shots = one_vs_rest(known, "boredom")
    with_prior, without = (prior.fit(None, shots, Settings(prior_shots=count), 0) for count in (8, 0))
    assert np.array_equal(with_prior.classifier_weight, without.classifier_weight)


def test_two_shots_and_a_prior_beat_two_shots(known):
    tested = np.vstack([clips_of(label, 200, seed=9) for label in range(3)])
    truth = np.repeat([True, False, False], 200)
    right = [[], []]
    for seed in range(10):
        shots = one_vs_rest(known, each=1, seed=seed)
        for scores, count in zip(right, (8, 0), strict=True):
            decided = log_odds(prior.fit(None, shots, Settings(prior_shots=count), 0), tested) > 0
            scores.append((decided == truth).mean())
    assert 1 - np.mean(right[0]) < 0.7 * (1 - np.mean(right[1]))


def test_unlabelled_clips_tell_where_a_speaker_is(known):
    place = 2.5
    tested = np.vstack([clips_of(label, 200, 9, place) for label in range(3)])
    truth = np.repeat([True, False, False], 200)
    mixed = np.vstack([clips_of(label, 4, 5, place) for label in range(3)])
    alone, enrolled = (
        np.mean(
            [
                (
                    (
                        log_odds(prior.fit(None, one_vs_rest(known, "anger", 1, place, more, s), Settings(), 0), tested)
                        > 0
                    )
                    == truth
                ).mean()
                for s in range(10)
            ]
        )
        for more in (None, mixed)
    )
    assert enrolled > alone


def test_neutral_enrolment_is_taken_for_neutral_and_mixed_enrolment_for_mixed(known):
    place = 3.0
    neutral = clips_of(1, 400, 5, place)
    mixed = np.vstack([clips_of(label, 200, 5, place) for label in range(3)])
    for clips in (neutral, mixed):
        (offset,) = prior.speaker_offsets(known, clips[None])
        assert offset == pytest.approx(np.full(SIZE, place), abs=0.35)
    assert not prior.speaker_offsets(known, neutral[None, :0]).any()
    assert prior._narrowness(known, neutral[None]) > 0.8
    assert prior._narrowness(known, mixed[None]) == 0


def test_more_than_two_classes_are_told_apart(known):
    vectors = np.vstack([clips_of(label, 2, 0) for label in range(3)])
    targets = np.arange(3).repeat(2)
    shots = Shots(vectors.astype(np.float32), [], targets, 3, labels=LABELS, prior=known)
    tested = np.vstack([clips_of(label, 100, 9) for label in range(3)])
    predicted = prior.fit(None, shots, Settings(), 0)(tested).argmax(axis=1)
    assert (predicted == np.arange(3).repeat(100)).mean() > 0.75


def test_two_classes_of_ones_own_are_equally_likely(known):
    """The threshold of one-vs-rest is for a label among many; of calm and upset neither is the rest."""
    pooled = np.zeros((2, SIZE), np.float32)
    pooled[:, 0] = [-1.0, 1.0]
    shots = Shots(pooled, [], np.array([0, 1]), 2, labels=("calm", "upset"), prior=known)
    assert log_odds(prior.fit(None, shots, Settings(), 0), np.zeros((1, SIZE))) == pytest.approx([0.0], abs=1e-4)


def test_a_plain_encoder_has_no_prior(known):
    shots = one_vs_rest(known)
    with pytest.raises(VoicefitError, match="needs a pre-finetuned start"):
        prior.fit(None, Shots(shots.pooled, [], shots.targets, 2, labels=shots.labels), Settings(), 0)


@pytest.mark.slow(4)
def test_neutral_enrolment_is_forgotten_as_shots_come_and_mixed_enrolment_is_not(known):
    tested = np.vstack([clips_of(label, 100, 9) for label in range(3)])
    neutral = clips_of(1, 12, 5)
    mixed = np.vstack([clips_of(label, 4, 5) for label in range(3)])

    def moved(each, more):
        with_more, alone = (
            log_odds(prior.fit(None, one_vs_rest(known, each=each, unlabelled=clips), Settings(), 0), tested)
            for clips in (more, None)
        )
        return np.abs(with_more - alone).mean()

    assert moved(400, neutral) < 0.1 * moved(1, neutral)
    assert moved(400, mixed) > 2 * moved(400, neutral)
