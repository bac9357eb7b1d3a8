"""The exported page in a real browser, Debian's Chromium, with the real onnxruntime-web from npm."""

import functools
import json
import os
import re
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from support.served import clip
from voicefit import load_model
from voicefit.errors import VoicefitError
from voicefit.export.web import RUNTIME_FILES, export_web

pytestmark = pytest.mark.slow(5)


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package onnxruntime-web: where VOICEFIT_ORT_WEB says, or installed here."""
    given = os.environ.get("VOICEFIT_ORT_WEB")
    if given:
        return Path(given)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("neither npm nor VOICEFIT_ORT_WEB is here")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, "onnxruntime-web@1"]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        pytest.skip("npm cannot install onnxruntime-web here")
    return folder / "node_modules" / "onnxruntime-web"


@pytest.fixture(scope="module")
def site(start: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra: onnx)")
    out = tmp_path_factory.mktemp("web") / "site"
    export_web(start, out, runtime)
    return out


@pytest.fixture(scope="module")
def address(site: Path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(browser, address: str):
    """The open page, the model loaded; a request to elsewhere and an error fail the test."""
    page = browser.new_page()
    page.set_default_timeout(30_000)
    outside: list[str] = []
    errors: list[str] = []
    page.on("request", lambda sent: outside.append(sent.url) if not sent.url.startswith((address, "data:")) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto(address)
    expect(page.locator("body[data-ready=yes]")).to_be_attached(timeout=30_000)
    yield page
    page.close()
    assert outside == []
    assert errors == []


@pytest.mark.slow(15)
def test_the_folder_has_all_that_it_needs(site: Path, start: Path):
    facts = json.loads((site / "model.json").read_text())
    assert facts["labels"] == load_model(start).labels
    assert facts["about"] == "A model that is not adapted to your voice yet; it knows 3 labels."
    names = {path.name for path in site.iterdir()}
    assert names == {*RUNTIME_FILES, "index.html", "page.css", "page.js", "recorder.js", "model.json", "model.onnx"}


def test_without_the_npm_package_it_says_what_to_run(start: Path, tmp_path: Path):
    with pytest.raises(VoicefitError, match="run `npm install onnxruntime-web`"):
        export_web(start, tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_file_is_told_as_python_tells_it(page: Page, start: Path, tmp_path: Path):
    file = tmp_path / "clip.wav"
    file.write_bytes(clip(3, seconds=1.5))
    expected = load_model(start).predict(file)
    page.locator("#file").set_input_files(file)
    expect(page.locator("#status")).to_have_text("clip.wav, 1.5 s")
    found = json.loads(page.locator("body").get_attribute("data-probabilities") or "")
    assert found == pytest.approx(list(expected.probabilities.values()), abs=1e-3)
    expect(page.locator("#answer")).to_have_text(expected.label)


def test_what_is_no_recording_is_refused_in_plain_words(page: Page, tmp_path: Path):
    text, short = tmp_path / "letter.txt", tmp_path / "short.wav"
    text.write_text("Dear Sir")
    short.write_bytes(clip(1, seconds=0.02))
    page.locator("#file").set_input_files(text)
    expect(page.locator("#status.wrong")).to_have_text("letter.txt is no recording that this browser can read.")
    page.locator("#file").set_input_files(short)
    expect(page.locator("#status.wrong")).to_have_text("That is too short: a word at least is needed.")


def test_the_bars_move_while_one_speaks(page: Page):
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.locator("#bars li span:last-child").first).to_have_text(re.compile(r"\d+ ?%"))
    first = page.locator("body").get_attribute("data-probabilities")
    page.wait_for_function("before => document.body.dataset.probabilities !== before", arg=first)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    expect(page.locator("#status")).to_have_text("")


def test_a_phone_needs_no_sideways_scroll(page: Page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
