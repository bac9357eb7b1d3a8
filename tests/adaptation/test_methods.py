from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from support.tiny_models import make_waveform
from voicefit.adaptation import METHODS, Shots, find_method
from voicefit.adaptation.fine_tune import balanced_order
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.heads.head import HEAD_ARRAYS, Head
from voicefit.heads.logistic import log_softmax, softmax

FINE_TUNED = [name for name, method in METHODS.items() if method.trains_encoder and name != "published"]


def random_shots(encoder: Encoder, classes: int, per_class: int, seed: int) -> tuple[Shots, np.ndarray]:
    """Overlapping clouds, and vectors to classify."""
    generator = torch.Generator().manual_seed(seed)
    targets = np.arange(classes * per_class) % classes
    centres = 0.7 * torch.randn(classes, encoder.hidden_size, generator=generator)
    pooled = centres[targets] + torch.randn(len(targets), encoder.hidden_size, generator=generator)
    others = torch.randn(200, encoder.hidden_size, generator=generator)
    return Shots(pooled.numpy(), [], targets, classes), others.numpy()


def fit(name: str, encoder: Encoder, shots: Shots, seed: int = 0, **settings) -> Head:
    method = find_method(name)
    if method.needs_validation:
        shots, settings = replace(shots, validation=shots), {"epochs": 20, "lr": 1e-2, **settings}
    return method.fit(encoder, shots, method.settings_type(**settings), seed)


def pool(encoder: Encoder, shots: Shots) -> np.ndarray:
    return encoder.pool(shots.frames).numpy()


def project(encoder: Encoder, pooled: np.ndarray) -> np.ndarray:
    return encoder.projector(torch.from_numpy(pooled)).detach().double().numpy()


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_prototype_answers_with_the_nearest_mean(encoder, classes, seed):
    shots, others = random_shots(encoder, classes, 4, seed)
    projected, means = project(encoder, shots.pooled), []
    for label in range(classes):
        mine = [vector for vector, target in zip(projected, shots.targets, strict=True) if target == label]
        means.append(sum(mine) / len(mine))
    nearest = [
        min(range(classes), key=lambda label: sum((vector - means[label]) ** 2)) for vector in project(encoder, others)
    ]
    assert fit("prototype", encoder, shots)(others).argmax(axis=1).tolist() == nearest
    assert len(set(nearest)) == classes


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l2", [0.1, 10.0])
def test_head_decides_as_logistic_regression_on_centred_and_scaled_vectors(encoder, classes, l2):
    shots, others = random_shots(encoder, classes, 8, 0)
    projected = project(encoder, shots.pooled)
    centring = StandardScaler(with_std=False).fit(projected)
    scale = centring.transform(projected).std()
    model = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=10_000).fit(
        centring.transform(projected) / scale, shots.targets
    )
    expected = model.predict_proba(centring.transform(project(encoder, others)) / scale)
    logits = fit("head", encoder, shots, l2=l2)(others)
    assert softmax(logits) == pytest.approx(expected, abs=1e-4)


def test_the_penalty_of_the_head_shrinks_its_weights(encoder):
    shots, _ = random_shots(encoder, 2, 8, 0)
    weak, strong = (np.linalg.norm(fit("head", encoder, shots, l2=l2).classifier_weight) for l2 in (0.01, 100.0))
    assert strong < 0.1 * weak


def test_the_head_does_not_depend_on_the_scale_of_the_encoder(encoder):
    shots, others = random_shots(encoder, 2, 8, 0)
    with torch.no_grad():
        encoder.projector.bias.zero_()
    scaled = Shots(1000 * shots.pooled, [], shots.targets, 2)
    plain = fit("head", encoder, shots)(others)
    assert fit("head", encoder, scaled)(1000 * others) == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.needs_prior])
@pytest.mark.parametrize("classes", [2, 3])
def test_methods_without_a_prior_return_a_head_that_copies_the_projector(name, classes, encoder, make_shots):
    shots = make_shots(6, classes)
    with encoder.restored():
        head = fit(name, encoder, shots)
        projection = encoder.projection
        assert np.array_equal(projection.weight, encoder.projector.weight.detach())
        assert np.array_equal(projection.bias, encoder.projector.bias.detach())
    assert np.array_equal(head.projector_weight, projection.weight)
    assert np.array_equal(head.projector_bias, projection.bias)
    assert head.classifier_weight.shape == (classes, len(projection.bias))
    assert head(shots.pooled).shape == (6, classes)
    assert all(isinstance(getattr(head, name), np.ndarray) for name in HEAD_ARRAYS)
    assert (head.adapter is not None) == (name == "lora")


@pytest.mark.parametrize("name", [name for name in METHODS if name != "zero-shot"])
def test_methods_that_listen_learn_two_shots(name, encoder, make_shots):
    shots = make_shots(2)
    with encoder.restored():
        head = fit(name, encoder, shots)
        pooled = pool(encoder, shots)
    assert head(pooled).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_finite_weights_for_shots_that_are_all_the_same(name, encoder, make_shots):
    one = make_shots(2)
    frames, labels = [one.frames[0]] * 2, ("anger", "fear")
    same = Shots(one.pooled[[0, 0]], frames, one.targets, 2, labels=labels, prior=one.prior)
    with encoder.restored():
        assert np.isfinite(fit(name, encoder, same)(one.pooled)).all()


def test_a_class_without_a_shot_is_an_error():
    with pytest.raises(VoicefitError, match=r"no clip of class 1, 3 among the 3 shots"):
        Shots(np.zeros((3, 4)), [], np.array([0, 2, 0]), 4)


def test_an_unknown_method_is_an_error_that_names_those_there_are():
    with pytest.raises(VoicefitError, match=r"unknown method 'svm'; there are bitfit, full, head, joint, kl, "):
        find_method("svm")


def loss_of(encoder: Encoder, head: Head, shots: Shots) -> float:
    return float(-log_softmax(head(pool(encoder, shots)))[np.arange(len(shots.targets)), shots.targets].mean())


@pytest.mark.parametrize("k", [2, 5, 20])
def test_full_lowers_the_loss_on_the_shots(k, encoder, make_shots):
    shots = make_shots(k)
    before = loss_of(encoder, fit("head", encoder, shots), shots)
    with encoder.restored():
        after = loss_of(encoder, fit("full", encoder, shots, lr=1e-3, head_lr=1e-2, steps=40), shots)
    assert after < 0.9 * before


def test_full_begins_at_the_linear_head(encoder, make_shots):
    shots = make_shots(6)
    begin = fit("head", encoder, shots)(shots.pooled)
    with encoder.restored():
        after = fit("full", encoder, shots, steps=1, lr=1e-9, head_lr=1e-9)
    assert np.allclose(after(shots.pooled), begin, atol=1e-4)


def changed_by(name: str, encoder: Encoder, shots: Shots, **settings) -> set[str]:
    """The weights that a method changes; that it leaves no trace after is asserted on the way."""
    before = {key: p.detach().clone() for key, p in encoder.named_parameters()}
    trained = {key for key, p in encoder.named_parameters() if p.requires_grad}
    with encoder.restored():
        fit(name, encoder, shots, steps=3, **settings)
        # Projector and its standardisation are every method's.
        changed = {key for key, p in encoder.named_parameters() if not torch.equal(p, before[key])}
    assert {key for key, p in encoder.named_parameters() if p.requires_grad} == trained
    assert [(key, torch.equal(p, before[key])) for key, p in encoder.named_parameters()] == [(k, True) for k in before]
    assert all(p.grad is None for p in encoder.parameters())
    return {key for key in changed if "projector" not in key}


def test_bitfit_changes_biases_and_norms_alone(encoder, make_shots):
    changed = changed_by("bitfit", encoder, make_shots(6))
    assert changed
    assert all(name.endswith("bias") or "layer_norm" in name for name in changed)


def test_top_layers_leaves_lower_layers_as_they_are(folder, make_shots):
    deep = load_encoder(folder)
    frames = [deep.front(make_waveform(0.2 + 0.01 * index, index)) for index in range(6)]
    shots = Shots(deep.pool(frames).numpy(), frames, np.arange(6) % 2, 2)
    last = f"layers.{deep.depth - 1}."
    assert deep.depth > 1
    changed = changed_by("top-layers", deep, shots, layers=1)
    assert changed and all(last in name for name in changed)  # positions and what is before them stay too
    assert not changed_by("top-layers", deep, shots, layers=0)
    assert changed_by("top-layers", deep, shots, layers=deep.depth) == changed_by("full", deep, shots)


def test_layers_that_a_method_leaves_alone_need_not_run_again_unless_all_are_weighed(folder):
    top, full = (find_method(name).configured() for name in ("top-layers", "full"))
    for frozen in (0, 1):
        deep = load_encoder(folder, Reading(frozen_layers=frozen))
        assert top.untouched_layers(deep) == deep.depth - 1 > 0
        assert full.untouched_layers(deep) == frozen
    assert top.untouched_layers(load_encoder(folder, Reading(weighted_layers=True))) == 0


def test_lora_changes_the_matrices_of_trained_layers_by_the_rank_it_is_given(encoder, make_shots):
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    with encoder.restored():
        fit("lora", encoder, make_shots(6), rank=2, steps=5, lr=0.1)
        changes = {name: p.detach() - before[name] for name, p in encoder.named_parameters() if "projector" not in name}
    changed = {name: change for name, change in changes.items() if change.any()}
    assert len(changed) == 2 * 6  # queries, keys, values, their output and the two of the feed-forward block
    assert all(name.endswith("weight") and ".layers.0." not in name for name in changed)
    assert all(torch.linalg.matrix_rank(change, rtol=1e-4) == 2 for change in changed.values())


def test_lhuc_scales_columns_between_0_and_2(encoder, make_shots):
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    with encoder.restored():
        fit("lhuc", encoder, make_shots(6), steps=20, lr=0.5)
        after = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    changed = {name for name in before if not torch.equal(before[name], after[name]) and "projector" not in name}
    assert {name.split("layers.")[1] for name in changed} == {
        "1.feed_forward.output_dense.weight",
        "2.feed_forward.output_dense.weight",
    }
    for name in changed:
        amplitudes = after[name] / before[name]
        assert torch.allclose(amplitudes, amplitudes[:1].expand_as(amplitudes), rtol=1e-3)
        assert 0 < amplitudes.min() < 0.9
        assert 1.1 < amplitudes.max() < 2


@pytest.mark.slow(1)
def test_l2sp_keeps_nearer_to_the_start_the_stronger_it_is(encoder, make_shots):
    shots = make_shots(6)
    distances = []
    for strength in (1e-6, 10.0, 1000.0):
        before = encoder.trainable_state()
        with encoder.restored():
            fit("l2sp", encoder, shots, strength=strength, steps=60, lr=1e-3)
            after = encoder.trainable_state()
        layers = [name for name in before if ".layers." in name]
        distances.append(sum(float((after[name] - before[name]).square().sum()) for name in layers))
    assert distances[2] < 0.5 * distances[1] < 0.5 * distances[0]


@pytest.mark.slow(2)
def test_kl_learns_a_mixture_of_the_labels_and_the_start_s_own_answer(encoder, make_shots):
    shots = replace(make_shots(8), labels=("anger", "fear"))
    known = softmax(fit("zero-shot", encoder, shots)(shots.pooled))
    gaps = []
    for share in (0.0, 0.9):
        with encoder.restored():
            head = fit("kl", encoder, shots, share=share, steps=200, lr=1e-3, head_lr=1e-2)
            said = softmax(head(pool(encoder, shots)))
        mixed = (1 - share) * np.eye(2)[shots.targets] + share * known
        gaps.append(float(np.abs(said - mixed).max()))
    assert max(gaps) < 0.12


def test_zero_shot_says_what_the_corpora_s_heads_say_and_does_not_listen(encoder, make_shots):
    shots = replace(make_shots(6), labels=("other", "anger"))
    prior = shots.prior
    row = prior.labels.index("anger")
    expected = prior.project(shots.pooled) @ prior.heads[row] + prior.biases[row] - 0.5 * prior.log_odds
    logits = fit("zero-shot", encoder, shots)(shots.pooled)
    assert logits[:, 1] - logits[:, 0] == pytest.approx(expected, abs=1e-4)
    flipped = replace(shots, targets=1 - shots.targets)
    assert np.array_equal(fit("zero-shot", encoder, flipped)(shots.pooled), logits)


def test_zero_shot_of_a_label_that_no_corpus_has_is_an_error_that_names_those_they_have(encoder, make_shots):
    with pytest.raises(VoicefitError, match=r"knows the label 'bored'; they know anger, fear, neutral"):
        fit("zero-shot", encoder, replace(make_shots(4), labels=("other", "bored")))


@pytest.mark.parametrize("name", ["head", "full", "lhuc"])
def test_the_rest_s_log_odds_move_the_threshold_of_one_emotion_against_the_rest(name, encoder, make_shots):
    shots = replace(make_shots(6), labels=("other", "anger"))
    logits = []
    for odds in (0.0, 0.7):
        with encoder.restored():
            logits.append(fit(name, encoder, shots, rest_log_odds=odds)(shots.pooled))
    assert logits[1] - logits[0] == pytest.approx(np.tile([0.7, 0.0], (6, 1)), abs=1e-5)
    several = replace(shots, labels=("anger", "fear"))
    with encoder.restored():
        assert np.array_equal(fit(name, encoder, several, rest_log_odds=0.7)(shots.pooled), logits[0])


@pytest.mark.parametrize("classes", [2, 5])
def test_the_cosine_prototype_answers_with_the_least_angle(encoder, classes):
    shots, others = random_shots(encoder, classes, 4, 0)
    projected = project(encoder, shots.pooled)
    means = np.array([projected[shots.targets == label].mean(0) for label in range(classes)])
    points = project(encoder, others)
    cosines = points @ means.T / np.linalg.norm(points, axis=1)[:, None] / np.linalg.norm(means, axis=1)
    said = fit("prototype", encoder, shots, distance="cosine")(others).argmax(axis=1)
    assert said.tolist() == cosines.argmax(axis=1).tolist()
    assert said.tolist() != fit("prototype", encoder, shots)(others).argmax(axis=1).tolist()


def test_shrunk_prototypes_are_nearer_to_the_corpora_s_mean(encoder):
    shots, others = random_shots(encoder, 3, 4, 0)
    projected = project(encoder, shots.pooled)
    means = 0.6 * np.array([projected[shots.targets == label].mean(0) for label in range(3)])
    points = project(encoder, others)
    nearest = np.linalg.norm(points[:, None] - means[None], axis=2).argmin(1)
    assert fit("prototype", encoder, shots, shrinkage=0.4)(others).argmax(axis=1).tolist() == nearest.tolist()


@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_every_stretch_of_shots_holds_the_classes_evenly(counts, seed):
    targets = np.repeat(np.arange(len(counts)), counts)
    order = balanced_order(targets, np.random.default_rng(seed))
    rounds = [[next(order) for _ in counts] for _ in range(max(counts))]
    assert all(sorted(targets[indices]) == list(range(len(counts))) for indices in rounds)
    for label, count in enumerate(counts):
        own = [index for indices in rounds for index in indices if targets[index] == label]
        assert len(set(own[:count])) == count


def test_full_does_not_depend_on_where_the_encoder_s_vectors_lie(encoder, make_shots):
    shots = make_shots(6)
    logits = []
    for scale, shift in ((1, 0), (0.01, 5), (100, -500)):
        with encoder.restored():
            with torch.no_grad():
                encoder.projector.weight.mul_(scale)
                encoder.projector.bias.mul_(scale).add_(shift)
            head = fit("full", encoder, shots, steps=10)
            logits.append(head(pool(encoder, shots)))
    assert logits[1] == pytest.approx(logits[0], abs=0.02)
    assert logits[2] == pytest.approx(logits[0], abs=0.02)


def test_full_learns_in_bfloat16(encoder, make_shots, bfloat16):
    shots = make_shots(6)
    losses = []
    for precision in ("float32", "bfloat16"):
        with encoder.restored():
            head = fit("full", encoder, shots, precision=precision, lr=1e-3, head_lr=1e-2, steps=40)
            losses.append(loss_of(encoder, head, shots))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0]


def test_full_changes_trainable_weights_alone_and_restored_puts_them_back_exactly(encoder, make_shots):
    shots = make_shots(6)
    before = {name: p.detach().clone() for name, p in encoder.named_parameters()}
    with encoder.restored():
        fit("full", encoder, shots, steps=3)
        changed = {name for name, p in encoder.named_parameters() if not torch.equal(p, before[name])}
    # The bias of the keys shifts every attention score of a query alike: it has no gradient.
    trainable = {name for name in encoder.trainable_state() if not name.endswith("k_proj.bias")}
    assert trainable <= changed <= set(encoder.trainable_state())
    assert all(torch.equal(p, before[name]) for name, p in encoder.named_parameters())
    assert all(p.grad is None for p in encoder.parameters())


@pytest.mark.parametrize("name", FINE_TUNED)
def test_fine_tuning_gives_the_same_for_a_seed_and_another_for_another(name, encoder, make_shots):
    shots = make_shots(12)
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(heads))  # whatever state the caller's generator is in
        with encoder.restored():
            heads.append(fit(name, encoder, shots, seed=seed, steps=5).classifier_weight)
    assert np.array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.trains_encoder])
def test_methods_that_do_not_train_leave_the_encoder_alone(name, encoder, make_shots):
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    fit(name, encoder, replace(make_shots(6), labels=("anger", "fear")))
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())
