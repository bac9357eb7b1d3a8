import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from experiments.real_data import place

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' models are tiny, and pytest-xdist has the other cores
if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("voicefit", deadline=None)  # how long an example takes says nothing on a shared machine
settings.load_profile("voicefit")

TESTS = Path(__file__).resolve().parent
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
# Scripts of `support` that tests start in processes of their own find it so.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most slow seconds first: no process is left with one while the others have nothing to do."""
    seconds: Counter[Path] = Counter()
    for item in items:
        for mark in item.iter_markers("slow"):
            seconds[item.path] += mark.args[0]
    items.sort(key=lambda item: -seconds[item.path])


def pytest_collection_finish() -> None:
    """What has been imported stays: whoever collects garbage, as pytest does at its end, need not look through it."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora, where there are any."""
    return _real_or_skip("VOICEFIT_DATA")


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The real pretrained encoders, where there are any."""
    return _real_or_skip("VOICEFIT_MODELS")


def _real_or_skip(variable: str) -> Path:
    if not place(variable).is_dir():
        pytest.skip(f"{place(variable)}: no such folder; {variable} names another (experiments/README.md)")
    return place(variable)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "voicefit-cache"))


@pytest.fixture(scope="session", autouse=True)
def traced_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[None]:
    """Each encoder is traced once for all tests, by whichever process needs its graph first: a trace takes seconds."""
    from support.traces import once

    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    with once(shared / "graphs"):
        yield


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-finetuned checkpoint made without training, which knows anger, fear and neutral."""
    from support.tiny_models import build_start

    return build_start(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """Chromium, to whose microphone somebody speaks; the test is skipped where the machine has none.

    It ends with the module: as long as it is there, this thread has a running event loop.
    """
    from support.chromium import CHROMIUM, FLAGS, MICROPHONE

    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    from support.bad_audio import encode
    from support.tiny_models import make_waveform

    speech = tmp_path_factory.mktemp("microphone") / "speech.wav"
    speech.write_bytes(encode(make_waveform(3, 7)))
    with playwright.sync_playwright() as driver:
        flags = [*FLAGS, *MICROPHONE, f"--use-file-for-fake-audio-capture={speech}"]
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield opened
        opened.close()


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders multiply in bfloat16 where they are told to, also on a processor that is slow at it."""
    monkeypatch.setattr("voicefit.encoders.precision.has_bfloat16", lambda device: True)


@pytest.fixture
def without_pdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures as PDF: fonts in them take half of the time, and tests that look at them have them."""
    from voicefit.report import pdf

    monkeypatch.setattr(pdf, "save", lambda figure, path: path)


@pytest.fixture
def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints have a file without a picture for their learning curves, which takes as long as a few epochs."""
    monkeypatch.setattr("voicefit.checkpoints.checkpoint._plot_history", lambda history, path: path.touch())
