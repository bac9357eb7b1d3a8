"""Take the pictures of the documents: the server's page, and the first screen of a report.

    python -m tools.screenshots --report voicefit-demo/report/index.html

It needs Chromium (`apt install chromium`) and the extras `serve` and `dev`. It writes page.png and report.png to docs/.
"""

import argparse
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PORT = 8653
WAIT_S = 60


@contextmanager
def served(model: str) -> Iterator[str]:
    """Run the server on a model, and give its address once it answers."""
    address = f"http://localhost:{PORT}"
    server = subprocess.Popen([sys.executable, "-m", "voicefit", "serve", model, "--port", str(PORT)])
    try:
        for _ in range(WAIT_S):
            time.sleep(1)
            try:
                urllib.request.urlopen(f"{address}/health").close()
                break
            except OSError:
                continue
        yield address
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Write both pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, required=True, help="the index.html of a report")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the program")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    with sync_playwright() as playwright, served("mini") as address:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        for name, url, size in (
            ("page", address, {"width": 1000, "height": 900}),
            ("report", arguments.report.resolve().as_uri(), {"width": 1000, "height": 1250}),
        ):
            page = browser.new_page(viewport=size)
            page.goto(url)  # the server's page keeps a connection open, so that the network is never idle
            page.wait_for_timeout(4_000)
            page.screenshot(path=arguments.out / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
