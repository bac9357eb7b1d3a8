import math

import numpy as np
import pytest
import torch
from torch import nn

from voicefit.prefinetuning.batches import speaker_batches
from voicefit.prefinetuning.objectives import Episodic, SpeakerAdversary, SupervisedContrast, make_objective
from voicefit.prefinetuning.settings import PrefinetuneSettings


def test_the_adversary_s_loss_is_1_at_chance_and_its_gradient_is_turned_round():
    adversary = SpeakerAdversary(3, ["a/1", "a/2", "b/1", "a/1"])
    with torch.no_grad():
        adversary.classifier.weight.zero_()
        adversary.classifier.bias.zero_()
    projected = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    speakers = ["a/1", "a/2", "b/1", "b/1"]
    assert adversary(projected, [], speakers).item() == pytest.approx(1)
    with torch.no_grad():
        adversary.classifier.weight.copy_(torch.eye(3))
    inside, outside = projected.clone().requires_grad_(), projected.clone().requires_grad_()
    adversary(inside, [], speakers).backward()
    plain = nn.functional.cross_entropy(outside, torch.tensor([0, 1, 2, 2])) / math.log(3)
    plain.backward()
    assert torch.allclose(inside.grad, -outside.grad)
    assert adversary.classifier.weight.grad.abs().sum() > 0


def test_training_against_the_adversary_hides_the_speaker_and_keeps_the_label():
    generator = torch.Generator().manual_seed(0)
    speaker, label = torch.arange(80) % 2, torch.arange(80) // 2 % 2
    clips = torch.stack([3.0 * speaker, 3.0 * label], 1) + 0.3 * torch.randn(80, 2, generator=generator)
    speakers, found = [str(s.item()) for s in speaker], {}
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        projector, head = nn.Linear(2, 2), nn.Linear(2, 2)
        adversary = SpeakerAdversary(2, speakers)
        optimizer = torch.optim.Adam([*projector.parameters(), *head.parameters(), *adversary.parameters()], lr=0.02)
        for _ in range(300):
            projected = projector(clips)
            loss = nn.functional.cross_entropy(head(projected), label) + weight * adversary(projected, [], speakers)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        projected = projector(clips).detach().numpy()
        gap = [projected[of.numpy() == 0].mean(0) - projected[of.numpy() == 1].mean(0) for of in (speaker, label)]
        found[weight] = np.linalg.norm(gap[0]) / np.linalg.norm(gap[1])
    assert found[1.0] < 0.5 * found[0.0]


def test_supervised_contrast_agrees_with_the_sum_written_out():
    projected = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    labels = ["anger", "fear", "anger", "anger", "calm", "fear"]
    unit = (projected / projected.norm(dim=1, keepdim=True)).double().numpy()
    losses = []
    for i in range(6):
        others = [a for a in range(6) if a != i]
        alike = [p for p in others if labels[p] == labels[i]]
        total = sum(math.exp(unit[i] @ unit[a] / 0.1) for a in others)
        if alike:
            terms = [-math.log(math.exp(unit[i] @ unit[p] / 0.1) / total) for p in alike]
            losses.append(sum(terms) / len(terms))
    assert len(losses) == 5
    said = SupervisedContrast()(projected, labels, [""] * 6)
    assert said.item() == pytest.approx(sum(losses) / 5, rel=1e-5)


def test_supervised_contrast_of_clips_without_a_fellow_is_0_and_has_a_finite_gradient():
    projected = torch.randn(3, 4).requires_grad_()
    loss = SupervisedContrast()(projected, ["anger", "fear", "calm"], [""] * 3)
    loss.backward()
    assert loss.item() == 0
    assert projected.grad.isfinite().all()


def test_an_episode_is_told_by_the_distance_to_the_first_clip_of_each_label():
    projected = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [2.0, 2.0]], requires_grad=True)
    loss = Episodic()(projected, ["anger", "fear", "fear", "anger"], [""] * 4)
    # Over the width 2: clip 2 is 0.5 from either; clip 3 is 4 from its own and 2 from the other.
    expected = (math.log(2) + math.log(1 + math.exp(4 - 2))) / 2 / math.log(2)
    assert loss.item() == pytest.approx(expected)
    assert Episodic()(projected, ["anger", "fear", "calm", "boredom"], [""] * 4).item() == 0


def test_the_batches_of_an_episode_are_of_one_speaker_each_and_of_every_speaker_in_time():
    speakers = {"a": ["1"] * 5 + ["2"] * 9, "b": ["1", "2", "3"] * 4}
    batches = [batch for epoch in range(12) for batch in speaker_batches(speakers, 4, "proportional", 7, epoch)]
    heard = set()
    for batch in batches:
        ((corpus, indices),) = batch.items()
        (speaker,) = {speakers[corpus][index] for index in indices}
        assert len(set(indices)) == len(indices) <= 4
        heard.add((corpus, speaker))
    assert len(batches) == 12 * 7
    assert heard == {("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"), ("b", "3")}
    again = next(speaker_batches(speakers, 4, "proportional", 7, 0))
    assert {name: list(part) for name, part in again.items()} == {name: list(part) for name, part in batches[0].items()}


def test_the_settings_name_the_objective():
    names = {
        objective: type(make_objective(PrefinetuneSettings(objective=objective), 3, ["x", "y"])).__name__
        for objective in ("labels", "dann", "supcon", "episodic")
    }
    assert names == {
        "labels": "NoneType",
        "dann": "SpeakerAdversary",
        "supcon": "SupervisedContrast",
        "episodic": "Episodic",
    }
