"""The commands and examples of the README and of the pages of the site that are marked as tested."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/start/voice.md", "docs/start/corpora.md", "docs/start/experiment.md")


def blocks_to_test(kind: str, page: str) -> list[tuple[str, str]]:
    """Name, if it has one, and text of each block of a kind, as ``bash``."""
    pattern = rf"<!-- tested(?:: (\S+))? -->\n```{kind}\n(.*?)```"
    return re.findall(pattern, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def commands_of(block: str) -> list[str]:
    """The command lines of a block."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
