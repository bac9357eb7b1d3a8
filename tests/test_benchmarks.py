"""Benchmarks are run by hand; here, that they can be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.new_process import run_command_line

pytestmark = pytest.mark.slow(20)

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


CHECK = f"""
import importlib
assert all(importlib.import_module(name).__doc__ for name in {NAMES})
importlib.import_module("precision").main()
"""


def test_every_benchmark_can_be_run_and_says_what_it_measures_and_where_it_looks_for_real_speech():
    environment = {name: value for name, value in os.environ.items() if name != "VOICEFIT_DATA"}
    found = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, env=environment, cwd=FOLDER, check=False
    )
    assert found.returncode == 1
    assert "VOICEFIT_DATA" in found.stderr and "Traceback" not in found.stderr


def test_a_benchmark_prints_a_table_and_writes_it_as_json(tmp_path):
    command = [FOLDER / "interval_coverage.py", "--quick", "--json", tmp_path / "result.json"]
    code, printed, errors = run_command_line(command, tmp_path)
    assert code == 0, errors
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["rows"] and all(0 < row["hierarchical covers"] <= 1 for row in result["rows"])
    assert printed.startswith("| speakers | ")
    assert result["versions"]["torch"] in printed
