"""The examples in the docstrings of every module give what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import voicefit

SRC = Path(voicefit.__file__).parent
EXTRAS = {"fastapi", "gradio", "onnx", "onnxruntime", "onnxscript", "parselmouth", "peft", "ray", "uvicorn"}
"""Packages that are installed with an extra alone."""


def modules_with_examples() -> list[str]:
    """Dotted names, without importing any: some need an extra, and all take their time."""
    files = (path for path in sorted(SRC.rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8"))
    names = (".".join(path.relative_to(SRC.parent).with_suffix("").parts) for path in files)
    return [name.removesuffix(".__init__") for name in names]


def test_there_are_examples():
    assert {"voicefit.scores", "voicefit.corpora", "voicefit.corpora.ravdess"} <= set(modules_with_examples())


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_say(name: str):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"{error.name} is not installed: it comes with an extra")
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
