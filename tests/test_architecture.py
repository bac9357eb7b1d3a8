"""The flow of the house: every import points down the list of layers, and what the architecture page promises."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import voicefit

SRC = Path(voicefit.__file__).parent

LAYERS = (
    "errors",
    "system",
    "audio",
    "scores",
    "training",
    "corpora",
    "heads",
    "encoders",
    "checkpoints",
    "prefinetuning",
    "adaptation",
    "distillation",
    "prediction",
    "export",
    "selection",
    "enrolment",
    "api",
    "sweep",
    "report",
    "serving",
    "demo",
    "cli",
    "__init__",
    "__main__",
)
"""The rooms of ``src/voicefit``, the lowest first. A module may import from its own room and from rooms before it."""


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a module imports of Voicefit, wherever in the file, ``voicefit`` itself included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "voicefit")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "voicefit":
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room_of(dotted: str) -> str:
    """The room that a dotted name of an import lies in; ``__init__`` for the public face."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else "__init__"


def arrows() -> Iterator[tuple[Path, str]]:
    """Every module below ``src/voicefit``, and each room that it imports from."""
    for path in sorted(SRC.rglob("*.py")):
        for dotted in imports(path):
            yield path.relative_to(SRC), room_of(dotted)


def test_every_room_has_its_place_in_the_flow():
    rooms = {path.relative_to(SRC).parts[0].removesuffix(".py") for path in SRC.rglob("*.py")}
    assert rooms == set(LAYERS)
    assert len(rooms) <= 28


def test_imports_point_one_way():
    places = {room: place for place, room in enumerate(LAYERS)}
    back = [
        f"{path} imports {room}" for path, room in arrows() if places[room] > places[path.parts[0].removesuffix(".py")]
    ]
    assert back == []


def test_ray_is_imported_only_by_its_own_modules():
    users = {
        str(path.relative_to(SRC))
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "ray" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ray")
    }
    assert users == {"sweep/ray_cluster.py", "sweep/ray_engine.py", "sweep/ray_transport.py"}


def test_methods_open_no_corpus_no_file_and_no_store():
    used = {dotted for path in (SRC / "adaptation").glob("*.py") for dotted in imports(path)}
    system = ("system.machine", "system.extras", "system.settings")
    below = ("errors", "encoders", "heads", "scores", "training", "adaptation", *system)
    assert {name for name in used if not name.removeprefix("voicefit.").startswith(below)} == set()


@pytest.mark.slow(2)
def test_what_needs_no_torch_does_not_import_it():
    names = ("voicefit", "voicefit.cli.app", "voicefit.sweep.store", "voicefit.sweep.run_directory", "voicefit.report")
    check = f"""
import importlib, sys
for name in {names}:
    importlib.import_module(name)
from voicefit.sweep import TrialStore
assert not {{"torch", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)


def test_a_voice_needs_no_package_of_an_extra():
    """Installed or not: importing torch takes seconds, and pandas and scipy half of one."""
    names = ("api", "adaptation", "prediction.model", "prediction.together", "prediction.evaluation", "export.onnx")
    check = f"""
import importlib, sys
for name in {names}:
    importlib.import_module(f"voicefit.{{name}}")
from voicefit.adaptation import LIGHT_METHODS, find_method
from voicefit.prediction.model import load_model
import numpy
for name in LIGHT_METHODS:
    find_method(name)
load_model("mini").predict(numpy.zeros(16_000, numpy.float32))
heavy = {{"torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib", "huggingface_hub"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True)
