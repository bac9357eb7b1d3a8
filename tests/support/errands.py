"""Jobs for workers that need no PyTorch: what imports little of Voicefit starts at once."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from voicefit.sweep.jobs import Record


@dataclass
class Errands:
    """Jobs that name what a worker does; each result is the process that did it."""

    folder: Path
    driver: int = 0
    devices = ("cpu",)

    def runner(self, device):
        return self

    def run(self, group):
        for job in group:
            if job == "wait":
                end = time.monotonic() + 60
                while not (self.folder / "gate").exists():
                    assert time.monotonic() < end
                    time.sleep(0.01)
            if job.startswith("kill the first") and not (self.folder / "killed").exists():
                (self.folder / "killed").touch()
                if job == "kill the first and its parent":
                    assert os.getppid() != self.driver
                    os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            yield Record(job, {"process": os.getpid()})
