"""Settings and tasks that end, or hold up, the process that reads or is given them."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Deadly:
    """What happens when a trial reads its settings: `kill`, `hang` or `exit`."""

    end: str

    @property
    def l2(self):
        if self.end == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end == "hang":
            time.sleep(600)
        raise SystemExit(3)


@dataclass
class Gated:
    """Settings that cannot be read before a file is there."""

    gate: Path
    rest_log_odds: float = 0.0

    @property
    def l2(self):
        end = time.monotonic() + 60
        while not self.gate.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        return 1.0


@dataclass
class Errands:
    """Tasks that name what a worker does; each says in which process it was done."""

    folder: Path
    devices = ("cpu",)

    def runner(self, device):
        return self

    def run(self, group):
        for task in group:
            if task == "wait":
                Gated(self.folder / "gate").l2  # noqa: B018
            if task == "kill the first" and not (self.folder / "killed").exists():
                (self.folder / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield task, {"process": os.getpid()}
