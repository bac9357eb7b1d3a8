import subprocess
import sys

import pytest

from voicefit.sweep.process_transport import START_METHOD

PREPARE = """
import sys
from multiprocessing import forkserver
from voicefit.sweep.process_transport import prepare_workers

prepare_workers(sys.argv[1:])
print(forkserver._forkserver._forkserver_pid is not None)
"""


@pytest.mark.slow(10)
@pytest.mark.skipif(START_METHOD != "forkserver", reason="workers are no forks here")
@pytest.mark.parametrize(("devices", "begun"), [(["cpu"], True), (["cuda:0", "cuda:1"], False)])
def test_the_process_that_workers_are_forks_of_begins_where_they_will_be_forks(devices, begun):
    steps = subprocess.run([sys.executable, "-c", PREPARE, *devices], check=True, capture_output=True, text=True)
    assert steps.stdout.strip() == str(begun)
