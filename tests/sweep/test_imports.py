"""What a report of trials costs to import."""

import subprocess
import sys

import pytest

from voicefit import sweep


@pytest.mark.slow(3)
def test_the_store_and_the_report_come_without_torch():
    check = (
        "import sys; from voicefit.sweep import TrialStore; import voicefit.report; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_every_public_name_of_the_sweep_is_there():
    assert all(getattr(sweep, name).__name__ == name for name in sweep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trail'"):
        _ = sweep.trail
