"""What the package of sweeps gives without importing its modules."""

import pytest

from voicefit import sweep


def test_every_public_name_of_the_sweep_is_there():
    assert all(getattr(sweep, name).__name__ == name for name in sweep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trail'"):
        _ = sweep.trail
