"""A person who lacks an extra is told its name before anything is done."""

import sys
import tomllib
from pathlib import Path

import pytest

from voicefit.errors import VoicefitError
from voicefit.system.extras import EXTRAS, extra_of, has, missing_extra, require

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
OF_IMPORT = {"sklearn": "scikit-learn", "multipart": "python-multipart", "parselmouth": "praat-parselmouth"}
"""Packages whose import has another name."""


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


def test_what_is_there_is_required_in_silence():
    assert has("train")
    require("train", "this")


@pytest.mark.usefixtures("without_torch")
def test_the_first_package_that_is_missing_is_named_with_the_extra():
    assert not has("train") and has("hub")
    with pytest.raises(VoicefitError) as caught:
        require("train", "method full trains the encoder")
    assert str(caught.value) == (
        "method full trains the encoder, which needs torch; run: pip install 'voicefit[train]'"
    )
    require("hub", "this")


def test_an_extra_that_nobody_knows_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        require("no-such-extra", "this")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch", "this needs torch; run: pip install 'voicefit[train]'"),
        ("statsmodels.api", "this needs statsmodels; run: pip install 'voicefit[report]'"),
        ("gradio", "this needs gradio; run: pip install 'voicefit[serve]'"),
        ("nobody", None),
        ("voicefit.absent", None),
        (None, None),
    ],
)
def test_an_import_that_fails_is_told_by_its_extra(name, expected):
    error = missing_extra(ModuleNotFoundError("No module", name=name))
    assert (str(error) if error else None) == expected


def test_packages_are_found_by_their_extra():
    assert [extra_of(name) for name in ("torch", "pandas", "jinja2", "ray", "numpy")] == [
        "train", "train", "report", "ray", None,
    ]  # fmt: skip


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_what_is_asked_of_it(extra):
    """Otherwise a person installs it and is told the same again."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def brought(name):
        for line in extras[name]:
            if line.startswith("voicefit["):
                for other in line.removeprefix("voicefit[").removesuffix("]").split(","):
                    yield from brought(other)
            else:
                yield line.split(">")[0].split("[")[0].strip().lower()

    wanted = {OF_IMPORT.get(package, package).replace("_", "-") for package in EXTRAS[extra]}
    found = {name.replace("_", "-") for name in (*brought(extra), *map(name_of, project["dependencies"]))}
    assert wanted <= found


def name_of(line):
    return line.split(">")[0].strip().lower()
