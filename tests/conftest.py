import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tests' models are tiny, and pytest-xdist has the other cores
settings.register_profile("voicefit", deadline=None)  # how long an example takes says nothing on a shared machine
settings.load_profile("voicefit")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real corpora, where they lie beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the real corpora are not here: no ../shared/data beside the checkout")
    return SHARED / "data"


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The real pretrained encoders, where they lie beside the checkout."""
    if not (SHARED / "models").is_dir():
        pytest.skip("the real encoders are not here: no ../shared/models beside the checkout")
    return SHARED / "models"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("VOICEFIT_CACHE", str(tmp_path / "voicefit-cache"))


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders multiply in bfloat16 where they are told to, also on a processor that is slow at it."""
    monkeypatch.setattr("voicefit.encoders.encoder.has_bfloat16", lambda device: True)
