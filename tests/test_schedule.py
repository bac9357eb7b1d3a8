import pytest

from voicefit.training import warmup_then_decay


def test_the_factor_worked_by_hand():
    factors = [warmup_then_decay(step, 10, 4) for step in range(10)]
    assert factors == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@pytest.mark.parametrize(("warmup", "first", "last"), [(0, 1.0, 0.1), (10, 0.1, 1.0)])
def test_the_limits_of_warm_up(warmup, first, last):
    assert [warmup_then_decay(step, 10, warmup) for step in (0, 9)] == pytest.approx([first, last])
