"""Benchmarks and experiments are run by hand; here, that they can be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow(20)

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    f"{folder}.{path.stem}" for folder in ("benchmarks", "experiments") for path in (ROOT / folder).glob("*.py")
)
CHECK = f"""
import importlib
assert all(importlib.import_module(name).__doc__ for name in {MODULES})
importlib.import_module("experiments.precision").main()
"""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A call of Python in the root of the repository, as a person does it."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=ROOT,
        check=False,
    )


def test_every_script_can_be_run_and_says_what_it_measures_and_where_it_looks_for_real_speech(tmp_path):
    found = run("-c", CHECK, VOICEFIT_DATA=str(tmp_path / "nowhere"))
    assert found.returncode == 1
    assert "nowhere: no such folder; VOICEFIT_DATA names the one" in found.stderr and "Traceback" not in found.stderr


@pytest.mark.parametrize("folder", ["benchmarks", "experiments"])
def test_every_script_and_plan_stands_in_the_readme_of_its_folder(folder):
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    scripts = {path.stem for path in (ROOT / folder).glob("*.py")} | {
        path.stem for path in (ROOT / folder).glob("plans/*")
    }
    assert [name for name in sorted(scripts) if f"`{name}`" not in text] == []


def test_a_script_prints_a_table_and_writes_it_as_json(tmp_path):
    found = run("-m", "experiments.interval_coverage", "--quick", "--json", str(tmp_path / "result.json"))
    assert found.returncode == 0, found.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rows"] and all(0 < row["hierarchical covers"] <= 1 for row in result["rows"])
    assert result["command"].startswith("python -m experiments.interval_coverage --quick")
    assert found.stdout.startswith("| speakers | ")
    assert result["versions"]["torch"] in found.stdout


def test_the_chaos_test_says_what_it_does():
    found = run("tests/chaos/ray_rounds.py", "--help")
    assert found.returncode == 0, found.stderr
    assert "Sweeps on a Ray cluster of two nodes" in found.stdout
