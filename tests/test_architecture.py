"""The flow of the house: every import points down the list of layers, and what the architecture page promises."""

import ast
from collections.abc import Iterator
from pathlib import Path

import voicefit

SRC = Path(voicefit.__file__).parent

LAYERS = (
    "errors",
    "system",
    "audio",
    "scores",
    "training",
    "corpora",
    "encoders",
    "heads",
    "checkpoints",
    "prefinetuning",
    "adaptation",
    "distillation",
    "prediction",
    "export",
    "selection",
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
