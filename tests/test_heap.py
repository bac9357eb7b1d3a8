import platform
import subprocess
import sys

import pytest

STEPS = """
import resource
import torch
from voicefit.heap import keep_freed_memory

keep_freed_memory()
for size, count in 4 * [(10 * 2**18, 20)] + 4 * [(2**18, 100)] + 4 * [(2**16, 400)] + 4 * [(10 * 2**18, 20)]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(size) for _ in range(count)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_memory_that_is_freed_is_not_asked_of_the_system_again():
    """200 MB are taken and freed once more; left to itself, glibc asks for 30,000 new pages each time."""
    steps = subprocess.run([sys.executable, "-c", STEPS], check=True, capture_output=True, text=True)
    assert int(steps.stdout) < 10_000
