from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import nn

from support import taped_graphs
from voicefit.adaptation import Shots, published
from voicefit.encoders import Encoder
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head


def fit(encoder: Encoder, shots: Shots, seed: int = 0, **settings) -> Head:
    """With the shots as validation clips, quickly."""
    settings = published.Settings(**{"epochs": 20, "lr": 1e-2, **settings})
    return published.fit(encoder, replace(shots, validation=shots), settings, seed)


def test_published_keeps_the_epoch_that_is_best_on_the_validation_clips(encoder, make_shots, monkeypatch):
    shots, scores, states = make_shots(6), iter([0.2, 0.7, 0.7, 0.1, 0.9]), []

    def score(encoder, classifier, *others):
        states.append((encoder.trainable_state(), classifier.weight.detach().clone()))
        return next(scores)

    monkeypatch.setattr(published, "_macro_f1", score)
    with encoder.restored():
        head = fit(encoder, shots, patience=2)
        after = encoder.trainable_state()
    assert len(states) == 4  # patience ended it before the 0.9
    assert all(torch.equal(after[name], value) for name, value in states[1][0].items())
    assert np.array_equal(head.classifier_weight, states[1][1])
    assert not torch.equal(states[1][1], states[2][1])


def test_published_ends_once_every_validation_clip_is_told_rightly(encoder, make_shots, monkeypatch):
    scores = iter([0.4, 1.0, 0.9])
    monkeypatch.setattr(published, "_macro_f1", lambda *arguments: next(scores))
    with encoder.restored():
        fit(encoder, make_shots(4), patience=3)
    assert list(scores) == [0.9]


@pytest.mark.parametrize(("k", "shorter", "epochs"), [(8, True, 60), (10, True, 50), (10, False, 60)])
def test_published_is_shorter_above_8_shots_where_the_code_s_ways_are_asked_for(
    encoder, make_shots, monkeypatch, k, shorter, epochs
):
    seen = []
    monkeypatch.setattr(published, "_macro_f1", lambda *arguments: seen.append(1) or len(seen) / 99)  # ever better
    monkeypatch.setattr(published, "_run_epoch", lambda *arguments: None)
    with encoder.restored():
        fit(encoder, make_shots(k), epochs=60, shorter_above_8=shorter)
    assert len(seen) == epochs


@pytest.mark.slow(2)
@given(st.data(), st.integers(2, 4), st.integers(4, 60), st.integers(0, 2**31))
def test_an_epoch_is_better_where_all_clips_say_so_and_its_score_is_then_theirs(data, classes, clips, seed):
    """Clips that are their own logits, one epoch after another, against scikit-learn on all of them."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(classes, (clips,), generator=generator)
    truth[:classes] = torch.arange(classes)
    margins, best = torch.zeros(clips), -1.0
    for skill in data.draw(st.lists(st.floats(0, 4), min_size=1, max_size=6)):
        logits = torch.randn(clips, classes, generator=generator) + skill * nn.functional.one_hot(truth, classes)
        heard = SimpleNamespace(
            device=torch.device("cpu"), projector=nn.Identity(), pool=lambda frames, precision: torch.stack(frames)
        )
        shots = Shots(logits.numpy(), list(logits), truth.numpy(), classes)
        found = published._macro_f1(heard, nn.Identity(), shots, "float32", best, margins)
        expected = f1_score(truth, logits.argmax(1), average="macro", zero_division=0)
        assert found == expected if expected > best else found <= best
        best = max(best, expected)


def test_published_hears_clips_that_were_told_wrongly_first_and_ends_where_it_would_have_ended(
    encoder, make_shots, monkeypatch
):
    shots, validation, heard = make_shots(6), make_shots(48), []
    shots = replace(shots, validation=validation)
    settings = published.Settings(epochs=12, patience=12, lr=1e-3)

    def hear_all(encoder, classifier, clips, precision, best, margins):
        predicted = classifier(encoder.projector(encoder.pool(clips.frames, precision))).argmax(1)
        return f1_score(clips.targets, predicted, average="macro", zero_division=0)

    def run():
        with encoder.restored():
            head = published.fit(encoder, shots, settings, 0)
            return {**encoder.trainable_state(), "weight": head.classifier_weight, "bias": head.classifier_bias}

    pool = encoder.pool
    monkeypatch.setattr(encoder, "pool", lambda frames, precision: heard.append(len(frames)) or pool(frames, precision))
    quick, in_part = run(), sum(heard)
    monkeypatch.setattr(published, "_macro_f1", hear_all)
    whole = run()
    assert all(np.array_equal(quick[name], value) for name, value in whole.items())
    assert 48 < in_part < 0.8 * 12 * 48  # the first epoch is read whole


def test_published_without_validation_clips_is_an_error(encoder, make_shots):
    with pytest.raises(VoicefitError, match="which the paper protocol alone has"):
        published.fit(encoder, make_shots(4), published.Settings(), 0)


def test_published_takes_a_step_for_four_shots_with_the_mean_of_their_gradients(encoder, make_shots, monkeypatch):
    """As one clip at a time, with gradients of four accumulated, on a model without dropout."""
    shots = make_shots(4)
    monkeypatch.setattr(published, "_macro_f1", lambda *arguments: 0.0)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):  # attention holds a number
            module.dropout = 0.0
    with encoder.restored():
        torch.manual_seed(3)
        classifier = nn.Linear(encoder.projector.out_features, 2)
        initial = (classifier.weight.detach().clone(), classifier.bias.detach().clone())
        parameters = [p for p in (*encoder.parameters(), *classifier.parameters()) if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0)
        for frames, target in zip(shots.frames, torch.from_numpy(shots.targets), strict=True):
            logits = classifier(encoder.projector(encoder([frames])))
            (nn.functional.cross_entropy(logits, target[None]) / 4).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        expected = classifier.weight.detach().clone()
    with encoder.restored():
        head = fit(encoder, shots, seed=3, epochs=1, lr=1e-3)
    assert not torch.equal(initial[0], expected)
    assert head.classifier_weight == pytest.approx(expected.numpy(), abs=1e-6)


@pytest.mark.slow(2)
@pytest.mark.parametrize("wanted", [True, False])
def test_published_replays_its_passes_unless_it_is_told_not_to(encoder, make_shots, monkeypatch, wanted):
    taped_graphs.install(monkeypatch)
    monkeypatch.setattr(Encoder, "_can_record", True)
    with encoder.restored():
        fit(encoder, make_shots(6), epochs=2, cuda_graphs=wanted)
    assert bool(encoder._recorded.passes) == wanted
