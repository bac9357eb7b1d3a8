"""Settings and tasks that end, or hold up, the process that reads or is given them."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from voicefit.adaptation import ConfiguredMethod, find_method
from voicefit.sweep.planned_method import PlannedMethod


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


def with_settings(settings, name="head"):
    """A planned method with settings that are not its own."""
    return PlannedMethod(ConfiguredMethod(find_method(name), settings))


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
