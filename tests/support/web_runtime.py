"""onnxruntime-web: installed by npm, and what it says of a folder of graphs and waveforms in Node and in Chromium.

The folder holds `NAME.onnx`, waveforms as `SAMPLES.f32`, and `answers.json`: name → samples → probabilities. What comes
back is JSON of the same form.
"""

import os
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

from support import SUPPORT
from support.chromium import CHROMIUM, FLAGS
from voicefit.export.web import RUNTIME_FILES


def install(folder: Path, version: str = "1") -> bool:
    """Install the npm package into a folder; whether npm could."""
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
    return not subprocess.run([*command, f"onnxruntime-web@{version}"], capture_output=True, timeout=300).returncode


def in_node(runtime: Path, graphs: Path) -> str:
    """What it says under Node; ``runtime`` is the folder of :func:`install`."""
    shutil.copy(SUPPORT / "run_graphs.mjs", runtime)  # Node looks for packages beside the script
    command = ["node", runtime / "run_graphs.mjs", graphs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ})
    assert done.returncode == 0, done.stderr
    return done.stdout


class Site(SimpleHTTPRequestHandler):
    """The files of a folder; what the page sends goes to ``said``."""

    def __init__(self, *args, said: SimpleQueue[str], **more):
        self.said = said
        super().__init__(*args, **more)

    def do_POST(self):
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def in_chromium(runtime: Path, graphs: Path, scratch: Path) -> str:
    """What it says in Chromium, on one thread; ``scratch`` is a new folder for the site and the browser's profile."""
    site, said = scratch / "site", SimpleQueue()
    shutil.copytree(graphs, site)
    for name in RUNTIME_FILES:
        shutil.copy(runtime / "node_modules" / "onnxruntime-web" / "dist" / name, site)
    shutil.copy(SUPPORT / "run_graphs.html", site / "index.html")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=site, said=said)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        command = [CHROMIUM, "--headless", *FLAGS, f"--user-data-dir={scratch / 'profile'}", address]
        chromium = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            answers = said.get(timeout=240)
        finally:
            chromium.terminate()
            chromium.wait(30)
            server.shutdown()
    assert answers.startswith("{"), answers
    return answers
