"""The commands and examples of the README that are marked as tested."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks_to_test(kind: str) -> list[tuple[str, str]]:
    """Name, if it has one, and text of each block of a kind, as ``bash``."""
    pattern = rf"<!-- tested(?:: (\S+))? -->\n```{kind}\n(.*?)```"
    return re.findall(pattern, README.read_text(encoding="utf-8"), re.DOTALL)


def commands_of(block: str) -> list[str]:
    """The command lines of a block."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
