"""What a command costs from a cold start, beside another commit: time, memory, bytes of the installation, the server.

Whole processes of both run in turn. The other commit has an environment of its own, with its extra `serve`:

    git worktree add ../other COMMIT && python -m venv ../other/.venv
    ../other/.venv/bin/pip install --constraint constraints.txt '../other[serve]'
    python -m benchmarks.light --other ../other/.venv/bin/python --clips SPEAKER

SPEAKER is a folder with a folder of clips per label, eight of each or more, of one voice. ``--installed THIS OTHER``,
the Pythons of two environments with either commit and no extra, weighs both installations.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import Options, publish

ROUNDS = 5
CLIENTS, LOAD_SECONDS, PAUSE_SECONDS = 45, 20.0, 0.2
MANY = 1000


_MEASURE = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([status, time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""
"""Runs a command and measures it. Linux counts the peak of whoever starts a process: here a small one."""


def run(python: str, arguments: Sequence[str]) -> tuple[float, float, float]:
    """Wall-clock seconds, processor seconds and peak memory in MB of one process."""
    command = [sys.executable, "-S", "-c", _MEASURE, python, "-m", "voicefit", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    status, wall, processor, peak = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{python} -m voicefit {' '.join(arguments)} failed")
    return wall, processor, peak


def compare(pythons: dict[str, str], name: str, commands: dict[str, list[str]], rounds: int) -> dict[str, Any]:
    """A row: medians of each, and the ratios, one process after the other in turn."""
    found: dict[str, list[tuple[float, float, float]]] = {which: [] for which in pythons}
    for _ in range(rounds):
        for which, python in pythons.items():
            if "--out" in commands[which]:
                shutil.rmtree(commands[which][commands[which].index("--out") + 1], ignore_errors=True)
            found[which].append(run(python, commands[which]))
    row: dict[str, Any] = {"command": name}
    for place, what in enumerate(("wall s", "processor s", "peak MB")):
        values = {which: statistics.median(one[place] for one in found[which]) for which in pythons}
        row |= {f"{what}, {which}": value for which, value in values.items()}
        row[f"{what}, ratio"] = values["this"] / values["other"]
    return row


async def load(address: str, clip: bytes, seconds: float) -> list[float]:
    """Seconds of each answer to clients that ask again and again, all at once.

    Plain sockets: a client of the usual kind takes as much of the processor as the server's own work.
    """
    url, answers = httpx.URL(address), list[float]()
    request = httpx.Request("POST", url.join("/predict"), files={"file": ("clip.flac", clip)})
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    sent = f"POST /predict HTTP/1.1\r\n{head}\r\n".encode() + request.read()
    until = time.monotonic() + seconds

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(url.host, url.port)
        while time.monotonic() < until:
            began = time.monotonic()
            writer.write(sent)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", answer)
            assert length is not None
            await reader.readexactly(int(length[1]))
            if answer.startswith(b"http/1.1 200"):
                answers.append(time.monotonic() - began)
            else:  # its queue is full
                await asyncio.sleep(PAUSE_SECONDS)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return answers


def serve(python: str, model: Path, clip: bytes, seconds: float) -> dict[str, float]:
    """Seconds from the start of a server to its first prediction, and what it answers under load."""
    began = time.monotonic()
    command = [python, "-m", "voicefit", "serve", str(model), "--port", "0"]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd="/"
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the server did not start")
        try:
            reply = httpx.post(f"{found[0]}/predict", files={"file": ("clip.flac", clip)}, timeout=120)
            reply.raise_for_status()
            first = time.monotonic() - began
            httpx.get(f"{found[0]}/", timeout=120).raise_for_status()  # the page is built, as it is before a user comes
            answers = asyncio.run(load(found[0], clip, seconds))
        finally:
            process.send_signal(signal.SIGINT)
    return {
        "first prediction s": first,
        "p50 ms": 1000 * float(np.percentile(answers, 50)),
        "p99 ms": 1000 * float(np.percentile(answers, 99)),
        "answers a second": len(answers) / seconds,
    }


def compare_servers(
    pythons: dict[str, str], models: dict[str, Path], clip: bytes, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """A row per figure of the server."""
    found: dict[str, list[dict[str, float]]] = {which: [] for which in pythons}
    for _ in range(rounds):
        for which, python in pythons.items():
            found[which].append(serve(python, models[which], clip, seconds))
    rows = []
    for what in found["this"][0]:
        values = {which: statistics.median(one[what] for one in found[which]) for which in pythons}
        rows.append({"server": what, **values, "ratio": values["this"] / values["other"]})
    return rows


def bytes_of(python: str) -> int:
    """Bytes of all files of an environment's packages."""
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    folder = Path(subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout.strip())
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def make_clips(source: Path, folder: Path) -> tuple[Path, Path, Path]:
    """Eight clips of four labels to adapt on, one to predict, and a folder of :data:`MANY`."""
    shots, many = folder / "shots", folder / "many"
    many.mkdir()
    labels = sorted(path for path in source.iterdir() if path.is_dir())[:4]
    files = [path for label in labels for path in sorted(label.iterdir())]
    for label in labels:
        (shots / label.name).mkdir(parents=True)
        for path in sorted(label.iterdir())[:2]:
            shutil.copy(path, shots / label.name / path.name)
    for index in range(MANY):
        path = files[index % len(files)]
        shutil.copy(path, many / f"{index:04}{path.suffix}")
    return shots, files[-1], many


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--other", required=True, help="Python of the other commit's environment")
    parser.add_argument("--installed", nargs=2, help="Pythons of environments with either commit and no extra")
    parser.add_argument("--clips", type=Path, required=True, help="a folder of clips per label, of one voice")
    parser.add_argument("--server", action="store_true", help="the server alone")
    parser.add_argument("--quick", action="store_true", help="one round, few clips: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    given = parser.parse_args()
    pythons = {"this": sys.executable, "other": str(Path(given.other).absolute())}
    rounds = 1 if given.quick else ROUNDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots, clip, many = make_clips(given.clips, folder)
        models = {which: folder / f"model-{which}" for which in pythons}
        adapt = {which: ["adapt", "mini", str(shots), "--out", str(models[which])] for which in pythons}
        if given.server:
            for which, python in pythons.items():
                run(python, adapt[which])
        predict = {which: ["predict", str(models[which]), str(clip)] for which in pythons}
        all_clips = {which: ["predict", str(models[which]), str(many)] for which in pythons}
        rows = (
            []
            if given.server
            else [
                compare(pythons, "--help", {which: ["--help"] for which in pythons}, rounds),
                compare(pythons, "adapt, 8 clips", adapt, rounds),
                compare(pythons, "predict, 1 clip", predict, rounds),
                compare(pythons, f"predict, {MANY} clips", all_clips, 1 if given.quick else 3),
            ]
        )
        seconds = 2.0 if given.quick else LOAD_SECONDS
        rows += compare_servers(pythons, models, clip.read_bytes(), 1 if given.quick else 3, seconds)
    if given.installed:
        sizes = {which: bytes_of(python) / 1e6 for which, python in zip(pythons, given.installed, strict=True)}
        rows.append({"installation": "MB", **sizes, "ratio": sizes["this"] / sizes["other"]})
    notes = [f"{ROUNDS} processes of each in turn, medians (3 where 1,000 clips or a server); {CLIENTS} clients."]
    publish(
        rows,
        Options(given.quick, given.json),
        notes,
    )


if __name__ == "__main__":
    main()
