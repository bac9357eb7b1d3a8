import gc
import platform
import subprocess
import sys

import pytest

from voicefit.system.heap import importing

STEPS = """
import sys
import threading
import psutil
import torch
from voicefit.system.heap import give_back_freed_memory, keep_freed_memory

stays = []


def take_and_free():
    tensors = [torch.ones(10 * 2**18) for _ in range(20)]
    stays.append(torch.ones(2**16))


if sys.argv[1] != "as ever":
    keep_freed_memory()
process = psutil.Process()
before = process.memory_info().rss
if "thread" in sys.argv[1]:
    thread = threading.Thread(target=take_and_free)
    thread.start()
    thread.join()
else:
    take_and_free()
if "given back" in sys.argv[1]:
    give_back_freed_memory()
print(process.memory_info().rss - before)
"""


def test_no_garbage_is_looked_for_within_imports_and_it_is_again_after_one_that_fails():
    with pytest.raises(ImportError), importing():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()


def test_imports_leave_a_collector_off_that_was_off():
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.slow(5)
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
@pytest.mark.parametrize(
    ("how", "megabytes"), [("kept", 200), ("as ever", 0), ("by a thread", 200), ("by a thread, given back", 0)]
)
def test_what_is_freed_is_kept_where_that_is_asked_for(how, megabytes):
    """200 MB are taken and freed."""
    steps = subprocess.run([sys.executable, "-c", STEPS, how], check=True, capture_output=True, text=True)
    assert int(steps.stdout) / 2**20 == pytest.approx(megabytes, abs=50)
