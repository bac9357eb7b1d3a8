import os
from pathlib import Path

import pytest
from hypothesis import settings

from experiments.real_data import place

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' models are tiny, and pytest-xdist has the other cores
settings.register_profile("voicefit", deadline=None)  # how long an example takes says nothing on a shared machine
settings.load_profile("voicefit")

SLOW = (
    "test_ray_engine.py",
    "test_export.py",
    "test_distributed.py",
    "test_build.py",
    "test_readme.py",
    "test_prefinetuning.py",
)
"""Files that take minutes: they come first, so that no process is left with one while the others have nothing to do."""

TESTS = Path(__file__).resolve().parent
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
# Scripts of `support` that tests start in processes of their own find it so.


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, else in the order of their names."""
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.name, len(SLOW)))


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


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders multiply in bfloat16 where they are told to, also on a processor that is slow at it."""
    monkeypatch.setattr("voicefit.encoders.encoder.has_bfloat16", lambda device: True)


@pytest.fixture
def without_pdfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures as PDF: fonts in them take half of the time, and tests that look at them have them."""
    from voicefit.report import sections

    save = sections.save
    monkeypatch.setattr(sections, "save", lambda figure, path: path if path.suffix == ".pdf" else save(figure, path))
