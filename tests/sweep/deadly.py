"""Settings of a method that end, or hold up, the process that reads them."""

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
