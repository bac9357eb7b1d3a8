"""What a server answers under load: one client alone, one beside an adaptation, and 50 clients at once.

Most of the 50 predict while some adapt models of their own, again and again.
The server is `voicefit serve` in its own process, on the loopback. A client that is told 429 waits as long as it is
told.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.common import LABELS, build_whisper_tiny, parse_options, publish, write_speakers

SCENES = ((1, 0, 15.0), (1, 1, 15.0), (45, 5, 120.0))
"""Clients that predict, clients that adapt, and seconds."""

QUICK = 15.0  # times shorter
SHOTS = 2  # clips a label, of two labels


@contextmanager
def serving(start: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The command, stopped as a user would stop it; its address and its process."""
    command = [sys.executable, "-m", "voicefit", "serve", str(start), "--port", "0"]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start, see above")
        try:
            yield found[0], psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)


class Clients:
    """Clients of one server, and what they were answered: request → seconds of each answer 200, and statuses."""

    def __init__(self, address: str, clips: dict[str, list[bytes]], predicting: int, adapting: int):
        self._predicting, self._adapting = predicting, adapting
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.statuses: Counter[tuple[str, str]] = Counter()
        self._clips = clips
        self._http = httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=None))

    async def run(self, seconds: float) -> None:
        """All of them at once, until the time is over."""
        async with self._http:
            reply = await self._adapt()
            if reply is None or reply.status_code != 200:
                raise SystemExit("the server did not adapt a model while it had nothing else to do")
            made = reply.json()["model"]
            self.seconds.clear()
            self.statuses.clear()
            until = time.monotonic() + seconds
            ones = [self._predict_until(until, made, seed) for seed in range(self._predicting)]
            await asyncio.gather(*ones, *(self._adapt_until(until) for _ in range(self._adapting)))
            await self._http.delete(f"/models/{made}")

    async def _predict_until(self, until: float, model: str, seed: int) -> None:
        every = [clip for clips in self._clips.values() for clip in clips]
        while time.monotonic() < until:
            files = {"file": ("clip.flac", every[seed % len(every)])}
            await self._post("/predict", files=files, headers={"Voicefit-Model": model})

    async def _adapt_until(self, until: float) -> None:
        while time.monotonic() < until:
            reply = await self._adapt()
            if reply is not None and reply.status_code == 200:
                await self._http.delete(f"/models/{reply.json()['model']}")

    async def _adapt(self) -> httpx.Response | None:
        chosen = [(label, clip) for label in LABELS[:2] for clip in self._clips[label][:SHOTS]]
        files = [("files", (f"{index}.flac", clip)) for index, (_, clip) in enumerate(chosen)]
        return await self._post("/adapt", files=files, data={"labels": [label for label, _ in chosen]})

    async def _post(self, path: str, **request: Any) -> httpx.Response | None:
        began = time.monotonic()
        try:
            reply = await self._http.post(path, **request)
        except httpx.HTTPError as error:
            self.statuses[path, type(error).__name__] += 1
            return None
        self.statuses[path, str(reply.status_code)] += 1
        if reply.status_code == 200:
            self.seconds[path].append(time.monotonic() - began)
        elif reply.status_code == 429:
            await asyncio.sleep(float(reply.headers["Retry-After"]))
        return reply

    def rows(self, seconds: float) -> Iterator[dict[str, Any]]:
        """A row per request."""
        for path, found in sorted(self.seconds.items()):
            statuses = {status: count for (other, status), count in self.statuses.items() if other == path}
            refused = statuses.pop("429", 0)
            yield {
                "clients that predict": self._predicting,
                "that adapt": self._adapting,
                "request": f"POST {path}",
                "answered": statuses.pop("200"),
                "told 429": refused,
                "errors": sum(statuses.values()),
                "per second": len(found) / seconds,
                **{f"p{q}, s": float(np.percentile(found, q)) for q in (50, 95, 99)},
            }


def measure(address: str, clips: dict[str, list[bytes]], shorter: float) -> Iterator[dict[str, Any]]:
    """The rows of every scene."""
    for predicting, adapting, seconds in SCENES:
        clients = Clients(address, clips, predicting, adapting)
        asyncio.run(clients.run(seconds / shorter))
        yield from clients.rows(seconds / shorter)


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    with tempfile.TemporaryDirectory() as name:
        start = build_whisper_tiny(Path(name, "encoder"))
        speaker = write_speakers(Path(name, "clips"), 1, SHOTS) / "s0"
        clips = {label: [path.read_bytes() for path in sorted((speaker / label).iterdir())] for label in LABELS}
        with serving(start) as (address, process):
            before = process.memory_info().rss
            rows = list(measure(address, clips, QUICK if options.quick else 1.0))
            after = process.memory_info().rss
    notes = [
        f"Memory of the server: {before / 2**20:.0f} MB before, {after / 2**20:.0f} MB after.",
        "Whisper tiny, all 4 layers, method head; clips of nEMO's lengths. Clients run on the same machine.",
    ]
    publish(rows, options, notes)


if __name__ == "__main__":
    main()
