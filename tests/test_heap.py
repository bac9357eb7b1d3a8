import platform
import subprocess
import sys

import pytest

STEPS = """
import sys
import psutil
import torch
from voicefit.heap import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
process = psutil.Process()
before = process.memory_info().rss
tensors = [torch.ones(10 * 2**18) for _ in range(20)]
del tensors
print(process.memory_info().rss - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
@pytest.mark.parametrize(("how", "megabytes"), [("kept", 200), ("given back", 0)])
def test_what_is_freed_is_kept_where_that_is_asked_for(how, megabytes):
    """200 MB are taken and freed."""
    steps = subprocess.run([sys.executable, "-c", STEPS, how], check=True, capture_output=True, text=True)
    assert int(steps.stdout) / 2**20 == pytest.approx(megabytes, abs=50)
