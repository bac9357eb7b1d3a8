"""Benchmarks and experiments are run by hand; here, that they can be."""

import json
import os
from pathlib import Path

import pytest

from support.new_process import run_command_line

pytestmark = pytest.mark.slow(10)

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    f"{folder}.{path.stem}" for folder in ("benchmarks", "experiments") for path in (ROOT / folder).glob("*.py")
)
CHECK = f"""
import importlib
assert all(importlib.import_module(name).__doc__ for name in {MODULES})
importlib.import_module("experiments.precision").main()
"""


@pytest.fixture(autouse=True)
def in_the_root_of_the_repository(monkeypatch):
    """Where a person calls them."""
    monkeypatch.chdir(ROOT)


def test_every_script_can_be_run_and_says_what_it_measures_and_where_it_looks_for_real_speech(tmp_path):
    (tmp_path / "check.py").write_text(CHECK)
    environment = os.environ | {"VOICEFIT_DATA": str(tmp_path / "nowhere")}
    code, _, errors = run_command_line([tmp_path / "check.py"], tmp_path, environment)
    assert code == 1
    assert "nowhere: no such folder; VOICEFIT_DATA names the one" in errors and "Traceback" not in errors


@pytest.mark.parametrize("folder", ["benchmarks", "experiments"])
def test_every_script_and_plan_stands_in_the_readme_of_its_folder(folder):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    scripts = {path.stem for path in (ROOT / folder).glob("*.py")} | {
        path.stem for path in (ROOT / folder).glob("plans/*")
    }
    assert [name for name in sorted(scripts) if f"`{name}`" not in text] == []


def test_a_script_prints_a_table_and_writes_it_as_json(tmp_path):
    command = ["-m", "experiments.interval_coverage", "--quick", "--json", tmp_path / "result.json"]
    code, printed, errors = run_command_line(command, tmp_path)
    assert code == 0, errors
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rows"] and all(0 < row["hierarchical covers"] <= 1 for row in result["rows"])
    assert result["command"].startswith("python -m experiments.interval_coverage --quick")
    assert printed.startswith("| speakers | ")
    assert result["versions"]["torch"] in printed


@pytest.mark.parametrize(
    ("script", "words"),
    [("ray_rounds", "Sweeps on a Ray cluster of two nodes"), ("killed_predictions", "Ten thousand clips are")],
)
def test_the_chaos_tests_say_what_they_do(tmp_path, script, words):
    code, printed, errors = run_command_line([f"tests/chaos/{script}.py", "--help"], tmp_path)
    assert code == 0, errors
    assert words in printed
