"""The method `joint` on voices made of Gaussians: emotions lie about where the corpora have them, and words vary."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from voicefit.adaptation import Shots, joint, prior
from voicefit.adaptation.joint import fit_mixtures, joint_head, temperature
from voicefit.errors import VoicefitError
from voicefit.heads.logistic import softmax
from voicefit.heads.prior import Prior
from voicefit.scores import score

SIZE, LABELS = 8, ("anger", "neutral", "sadness")
CENTRES = np.array([[3.0, 0.0], [-1.0, 1.5], [-2.0, -1.5]])
"""Of the emotions in the corpora, about the centre of a speaker."""


@pytest.fixture(scope="module")
def known() -> Prior:
    """Coordinates are the pooled vectors themselves; heads point at each emotion."""
    signal = np.array([6.0, 2.0, *[0.5] * (SIZE - 2)])
    heads = np.pad(CENTRES, ((0, 0), (0, SIZE - 2)))
    neutral = np.pad(CENTRES[1], (0, SIZE - 2))
    return Prior(LABELS, 3, np.zeros(SIZE), np.eye(SIZE), signal, 4 * np.ones(SIZE), neutral, heads, -np.ones(3))


def voice(counts, seed, words=0.0):
    """Clips of a voice whose emotions lie elsewhere than the corpora's, and their labels.

    Args:
        counts: clips of each emotion.
        seed: of the clips; the voice is always the same.
        words: by how much clips of one emotion differ along two more directions, as by what was said.
    """
    own = CENTRES + np.random.default_rng(0).normal(scale=1.0, size=CENTRES.shape)
    generator = np.random.default_rng([1, seed])
    labels = np.repeat(np.arange(len(counts)), counts)
    clips = generator.normal(size=(len(labels), SIZE)) + np.pad(own[labels], ((0, 0), (0, SIZE - 2)))
    spoken = generator.integers(2, size=(len(labels), 2))
    clips[:, :2] += words * (spoken[:, :1] - 0.5)
    clips[:, 2:4] += 3 * words * (spoken[:, :1] - 0.5)
    return clips.astype(np.float32), labels


def given(known, each=1, unlabelled=(60, 60, 60), seed=0, words=0.0, labels=LABELS) -> Shots:
    pooled, targets = voice([each] * 3, seed, words)
    more = voice(unlabelled, seed + 100, words)[0] if unlabelled else np.empty((0, SIZE), np.float32)
    return Shots(pooled, [], targets, 3, labels=labels, unlabelled=more, prior=known)


def macro_f1(head, counts=(100, 100, 100), words=0.0) -> float:
    clips, labels = voice(counts, 999, words)
    return score(labels.tolist(), head(clips).argmax(axis=1).tolist())["macro_f1"]


def of_method(method, shots) -> float:
    return macro_f1(method.METHOD.configured().fit(None, shots, 0))


def mean_gain(known, **what) -> float:
    """Macro F1 of `joint` above `prior`, mean over ten draws of shots and recordings."""
    pairs = [given(known, seed=seed, **what) for seed in range(10)]
    return float(np.mean([of_method(joint, shots) - of_method(prior, shots) for shots in pairs]))


def test_recordings_without_labels_help_most_beside_few_shots(known):
    assert mean_gain(known) > 0.02
    assert mean_gain(known, each=8) > -0.005


def test_a_few_recordings_do_no_harm(known):
    assert mean_gain(known, unlabelled=(2, 2, 2)) > -0.005


@pytest.mark.parametrize("labels", [LABELS, ("other", "anger")])
@pytest.mark.parametrize("recordings", [2, 6, 12])
def test_below_four_recordings_a_label_the_head_lies_between_those_of_prior_and_of_the_mixture(
    known, labels, recordings, monkeypatch
):
    shots = given(known)
    targets = shots.targets if len(labels) == 3 else (shots.targets == 0).astype(int)
    few = replace(shots, targets=targets, classes=len(labels), labels=labels, unlabelled=shots.unlabelled[:recordings])
    begin, found = prior.METHOD.configured().fit(None, few, 0), joint_head(few)
    monkeypatch.setattr(joint, "_RECORDINGS_A_LABEL", 0.01)
    whole = joint_head(few)
    for name in ("classifier_weight", "classifier_bias"):
        first, last = getattr(begin, name), getattr(whole, name)
        assert not np.allclose(first, last, atol=1e-3)
        expected = first + recordings / 12 * (last - first)
        assert np.allclose(getattr(found, name), expected, rtol=1e-5, atol=1e-6)


def test_four_fifths_neutral_is_no_worse_than_without_recordings(known):
    assert mean_gain(known, unlabelled=(12, 96, 12)) > 0.0


def test_words_that_vary_more_than_emotions_are_not_taken_for_them(known):
    gains = []
    for seed in range(10):
        shots = given(known, seed=seed, words=3.0)
        heads = [method.METHOD.configured().fit(None, shots, 0) for method in (joint, prior)]
        gains.append(macro_f1(heads[0], words=3.0) - macro_f1(heads[1], words=3.0))
    assert np.mean(gains) > -0.005


def test_labels_that_no_corpus_has_are_found_from_the_shots(known):
    own = ("one", "two", "three")
    assert mean_gain(known, labels=own) > 0.02


def test_without_recordings_it_is_prior(known):
    shots = given(known, unlabelled=())
    found, expected = (method.METHOD.configured().fit(None, shots, 0) for method in (joint, prior))
    assert np.array_equal(found.classifier_weight, expected.classifier_weight)
    assert np.array_equal(found.classifier_bias, expected.classifier_bias)


@pytest.mark.parametrize("each", [1, 2, 5])
def test_it_is_less_sure_than_the_mixture_and_answers_alike(known, each):
    shots = given(known, each=each)
    head, mixture = joint.METHOD.configured().fit(None, shots, 0), joint_head(shots)
    clips, _ = voice((100, 100, 100), 999)
    assert head.temperature == temperature(each, 180, 3) > 1.5
    assert np.allclose(head.temperature * head(clips), mixture(clips), rtol=1e-4, atol=1e-4)
    assert np.array_equal(head(clips).argmax(axis=1), mixture(clips).argmax(axis=1))
    assert softmax(head(clips)).max(axis=1).mean() < softmax(mixture(clips)).max(axis=1).mean() - 0.01


@pytest.mark.parametrize("each", [1, 2, 5])
def test_one_from_the_rest_is_cooled_too_and_the_threshold_stays(known, each):
    pooled, targets = voice([each] * 3, 0)
    more, _ = voice((60, 60, 60), 100)
    shots = Shots(pooled, [], (targets == 0).astype(int), 2, labels=("other", "anger"), unlabelled=more, prior=known)
    head, mixture = joint.METHOD.configured().fit(None, shots, 0), joint_head(shots)
    clips, _ = voice((100, 100, 100), 999)
    assert head.temperature == temperature(1.5 * each, 180, 3, one_vs_rest=True) > 1
    assert np.array_equal(head(clips).argmax(axis=1), mixture(clips).argmax(axis=1))


def test_the_temperature_falls_with_shots_and_rises_with_recordings():
    assert temperature(1, 0, 6) == 1
    few, many, shots = temperature(1, 30, 6), temperature(1, 300, 6), temperature(8, 300, 6)
    assert 1 < few < many and 1 < shots < many


def test_the_order_of_clips_does_not_matter(known):
    shots = given(known)
    turned = Shots(
        shots.pooled[::-1],
        [],
        shots.targets[::-1],
        3,
        labels=LABELS,
        unlabelled=shots.unlabelled[::-1],
        prior=known,
    )
    first, second = joint_head(shots), joint_head(turned)
    assert np.allclose(first.classifier_weight, second.classifier_weight, atol=1e-4)
    assert np.allclose(first.classifier_bias, second.classifier_bias, atol=1e-4)


def test_without_shots_the_corpora_name_what_the_recordings_show(known):
    shots = given(known)
    before = prior.posterior_head(shots, prior.Settings(), use_shots=False)
    nothing = replace(shots, pooled=shots.pooled[:0], targets=shots.targets[:0], partial=True)
    assert macro_f1(joint_head(nothing)) > macro_f1(before) + 0.02


def test_one_emotion_is_told_from_a_rest_without_names(known):
    gains = []
    for seed in range(10):
        pooled, targets = voice([1, 1, 1], seed)
        more = voice([60, 60, 60], seed + 100)[0]
        shots = Shots(
            pooled[:2],
            [],
            (targets[:2] == 0).astype(np.int64),
            2,
            labels=("other", "anger"),
            unlabelled=more,
            prior=known,
        )
        clips, labels = voice([50, 50, 50], 999)
        heads = [method.METHOD.configured().fit(None, shots, 0) for method in (joint, prior)]
        truth = (labels == 0).astype(np.int64).tolist()
        scores = [score(truth, head(clips).argmax(axis=1).tolist())["macro_f1"] for head in heads]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 0.0


def test_a_label_of_ones_own_may_be_called_other(known):
    heads = [joint_head(given(known, labels=(first, "second", "third"))) for first in ("other", "first")]
    assert np.array_equal(heads[0].classifier_weight, heads[1].classifier_weight)


def test_one_round_is_that_of_densities_written_out(known):
    """Responsibilities at the end are those of the Gaussians that they give, clip by clip and label by label."""
    shots = given(known)
    points = np.vstack([known.project(shots.pooled), known.project(shots.unlabelled)])
    guess = points @ known.heads.T + known.biases
    allowed = np.ones((len(points), 3), dtype=bool)
    allowed[:3] = np.eye(3, dtype=bool)
    found = fit_mixtures(known, points[None], guess[None], allowed[None], len(points) - 3, np.array([3]))
    trust = (len(points) - 3) / (len(points) - 3 + 16 * 3)
    (taken,) = found.responsibilities
    counts = taken.sum(0)
    # The centre: each label's mean tells it with the variance of a label's mean, and of a clip shared by its clips.
    doubt = known.signal + 1 / counts[:, None]
    average = taken.T @ points / counts[:, None]
    centre = (average / doubt).sum(0) / (1 / known.speakers + (1 / doubt).sum(0))
    means = np.array(
        [(counts[c] * average[c] + centre / known.signal) / (counts[c] + 1 / known.signal) for c in range(3)]
    )
    covariance = 100 * np.eye(SIZE)
    for c in range(3):
        for i, point in enumerate(points):
            covariance += taken[i, c] * np.outer(point - means[c], point - means[c])
        covariance += counts[c] * np.diag(1 / (counts[c] + 1 / known.signal))
    covariance /= len(points) + 100
    for i in range(3, len(points), 17):
        logs = []
        for c in range(3):
            away = points[i] - means[c]
            first_guess = 0.5 * (guess[i, c] - logsumexp(guess[i]))
            logs.append(first_guess - trust * away @ np.linalg.inv(covariance) @ away / 2)
        assert taken[i] == pytest.approx(np.exp(logs - logsumexp(logs)), abs=2e-3)


def test_a_plain_encoder_has_no_prior(known):
    shots = given(known)
    plain = Shots(shots.pooled, [], shots.targets, 3, labels=LABELS)
    with pytest.raises(VoicefitError, match="method joint needs a pre-finetuned start"):
        joint_head(plain)
