import importlib.util
import tomllib
from importlib.metadata import version
from pathlib import Path

import voicefit

ROOT = Path(__file__).resolve().parents[1]


def test_a_public_name_is_the_same_thing_whenever_it_is_asked_for():
    first = {name: getattr(voicefit, name) for name in voicefit.__all__}
    assert {name: getattr(voicefit, name) for name in voicefit.__all__} == first
    assert all(callable(thing) for thing in first.values())


def test_no_module_takes_the_place_of_a_public_name_once_it_is_imported():
    assert [name for name in voicefit.__all__ if importlib.util.find_spec(f"voicefit.{name}")] == []


def test_the_version_is_that_of_the_metadata_everywhere():
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert voicefit.__version__ == version("voicefit") == written
    assert f"\nversion: {written}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
