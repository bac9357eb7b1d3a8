"""Trials that are fitted together get the heads that each gets alone."""

from dataclasses import replace

import numpy as np
import pytest

from voicefit.adaptation import METHODS, Shots, find_method
from voicefit.adaptation.shots import ShotsBatch, Voice
from voicefit.heads.head import HEAD_ARRAYS, Projection
from voicefit.heads.prior import Prior

SIZE, WIDTH, CLIPS, TRIALS = 24, 9, 60, 7
LABELS = ("anger", "calm", "fear", "joy")
MANY = [name for name, method in METHODS.items() if method.fit_many]
SETTINGS = {
    "head": [{}, {"rest_log_odds": 0.7}],
    "prototype": [{}, {"distance": "cosine", "shrinkage": 0.2}],
    "prior": [{}, {"prior_shots": 0}],
}
CASES = [(name, settings) for name in MANY for settings in SETTINGS.get(name, [{}])]


class PlainEncoder:
    """All of an encoder that methods on fixed vectors ask for."""

    projection = Projection(
        np.random.default_rng(1).normal(size=(16, SIZE)).astype(np.float32), np.full(16, 0.1, np.float32)
    )


def make_prior(labels: tuple[str, ...], shared: int) -> Prior:
    generator = np.random.default_rng(len(labels))
    return Prior(
        labels=labels,
        shared=shared,
        origin=generator.normal(size=SIZE),
        basis=generator.normal(size=(SIZE, WIDTH)) / 3,
        signal=np.sort(generator.random(WIDTH) * 8 + 0.01)[::-1],
        speakers=generator.random(WIDTH) * 3,
        neutral=generator.normal(size=WIDTH),
        heads=generator.normal(size=(len(labels), WIDTH)),
        biases=generator.normal(size=len(labels)),
    )


def make_batch(prior: Prior, task: str, k: int, unlabelled: int, kind: str) -> ShotsBatch:
    """Trials of one voice: each has its own shots, and its own emotion where one is told from the rest."""
    generator = np.random.default_rng(k + unlabelled)
    clips = generator.normal(size=(CLIPS, SIZE)).astype(np.float32)
    classes = 2 if task == "one-vs-rest" else len(LABELS)
    rows = np.array([generator.permutation(CLIPS) for _ in range(TRIALS)])
    targets = np.tile(np.arange(k) % classes, (TRIALS, 1))
    if kind == "uneven":  # and each trial in its own way
        targets[:, classes:] = generator.integers(classes, size=(TRIALS, k - classes))
    if kind == "copies":
        rows[:, k - 1] = rows[:, 0]
        targets[:, k - 1] = targets[:, 0]
        targets[:, 1:classes] = np.arange(1, classes)
    names = [("other", LABELS[trial % 3]) if classes == 2 else LABELS for trial in range(TRIALS)]
    return ShotsBatch(Voice(clips, prior), rows[:, :k], targets, classes, names, rows[:, k : k + unlabelled])


def alone(batch: ShotsBatch, trial: int) -> Shots:
    return Shots(
        batch.voice.pooled[batch.rows[trial]],
        [],
        batch.targets[trial],
        batch.classes,
        labels=batch.labels[trial],
        unlabelled=batch.voice.pooled[batch.unlabelled[trial]],
        prior=batch.voice.prior,
    )


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize("task", ["one-vs-rest", "multiclass"])
@pytest.mark.parametrize("k", [5, 14])
@pytest.mark.parametrize("unlabelled", [0, 3, 30])
@pytest.mark.parametrize("kind", ["even", "uneven", "copies"])
def test_each_trial_of_a_batch_gets_the_head_that_it_gets_alone(name, settings, task, k, unlabelled, kind):
    method = find_method(name).configured(**settings)
    knows = make_prior(LABELS, 3) if name == "zero-shot" else make_prior((*LABELS[:3], "bored"), 2)
    batch = make_batch(knows, task, k, unlabelled, kind)
    heads = method.method.fit_many(PlainEncoder(), batch, method.settings)
    others = np.random.default_rng(9).normal(size=(20, SIZE)).astype(np.float32)
    logits = heads(others)
    for trial in range(TRIALS):
        head = method.fit(PlainEncoder(), alone(batch, trial), 0)
        for array in HEAD_ARRAYS:
            np.testing.assert_allclose(getattr(heads[trial], array), getattr(head, array), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(logits[trial], head(others), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), CASES, ids=str)
@pytest.mark.parametrize("task", ["one-vs-rest", "multiclass"])
def test_a_trial_gets_the_same_numbers_in_any_batch(name, settings, task):
    """To the last bit: a resumed sweep has other batches than one that was not interrupted."""
    method = find_method(name)
    chosen, batch = method.settings_type(**settings), make_batch(make_prior(LABELS, 3), task, 14, 30, "uneven")
    together = method.fit_many(PlainEncoder(), batch, chosen)
    for trials in ([3], [6, 0, 2], [1, 4]):
        some = replace(
            batch,
            rows=batch.rows[trials],
            targets=batch.targets[trials],
            labels=[batch.labels[trial] for trial in trials],
            unlabelled=batch.unlabelled[trials],
        )
        found = method.fit_many(PlainEncoder(), some, chosen)
        assert np.array_equal(found.weights, together.weights[trials])
        assert np.array_equal(found.biases, together.biases[trials])
