from itertools import islice

import numpy as np
import pytest
import torch

from voicefit.errors import VoicefitError
from voicefit.training import endless_shuffles, load_state, save_state, warmup_then_decay


def make_optimizer(steps):
    """AdamW over three weights after some steps; the third never gets a gradient, and so has no state."""
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = torch.optim.AdamW(weights)
    for step in range(steps):
        for weight in weights[:2]:
            weight.grad = torch.full((2,), 1.0 + step)
        optimizer.step()
    return optimizer


def test_what_is_written_comes_back_bit_by_bit(tmp_path):
    before, after = make_optimizer(3), make_optimizer(0)
    tensors = {"now/a": torch.rand(3), "best/a": torch.rand(3)}
    save_state(tmp_path / "new", "id", tensors, before, history=[{"epoch": 1, "loss": 0.1}])
    found, record = load_state(tmp_path / "new", "id", after, "encoder")
    assert found.keys() == tensors.keys() and all(torch.equal(found[name], tensors[name]) for name in found)
    assert record == {"history": [{"epoch": 1, "loss": 0.1}]}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state.safetensors"]
    states = [optimizer.state_dict()["state"] for optimizer in (before, after)]
    assert states[0].keys() == states[1].keys() == {0, 1}
    for index, state in states[0].items():
        assert all(torch.equal(value, states[1][index][name]) for name, value in state.items())


def test_nothing_written_is_nothing_found(tmp_path):
    assert load_state(tmp_path, "id", make_optimizer(0), "encoder") is None


def test_the_state_of_another_run_is_refused_and_changes_nothing(tmp_path):
    save_state(tmp_path, "id", {}, make_optimizer(1))
    optimizer = make_optimizer(0)
    with pytest.raises(VoicefitError, match="was begun with another encoder or seed; remove it"):
        load_state(tmp_path, "other", optimizer, "encoder or seed")
    assert not optimizer.state_dict()["state"]


def test_the_factor_worked_by_hand():
    factors = [warmup_then_decay(step, 10, 4) for step in range(10)]
    assert factors == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize(("warmup", "first", "last"), [(0, 1.0, 0.1), (10, 0.1, 1.0)])
def test_the_limits_of_warm_up(warmup, first, last):
    assert [warmup_then_decay(step, 10, warmup) for step in (0, 9)] == pytest.approx([first, last])


@pytest.mark.parametrize("indices", [9, np.arange(4, 40, 4)])
def test_endless_shuffles_give_every_index_once_a_round_in_orders_that_differ(indices):
    order = endless_shuffles(indices, np.random.default_rng(0))
    rounds = [list(islice(order, 9)) for _ in range(3)]
    assert all(sorted(one) == (list(range(9)) if isinstance(indices, int) else indices.tolist()) for one in rounds)
    assert len({*map(tuple, rounds)}) == 3
