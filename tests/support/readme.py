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


def transcripts(page: str) -> list[list[tuple[str, str]]]:
    """The commands of each console block of a page, each with the lines that it prints."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    return [re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE) for block in blocks]


def differences(expected: str, printed: str, tolerance: float = 0.02) -> list[str]:
    """The words in which two texts differ; numbers may, by a little, since processors round differently.

    What is expected may end in ``…``: more is printed than is shown.
    """
    before, after = (text.replace("–", " ").split() for text in (expected, printed))
    if before[-1] == "…":
        before, after = before[:-1], after[: len(before) - 1]
    found = [f"{len(before)} words, not {len(after)}"] if len(before) != len(after) else []
    for one, other in zip(before, after, strict=False):
        numbers = [re.fullmatch(r"(\d+(?:\.\d+)?)[,;)]?", word.lstrip("(")) for word in (one, other)]
        near = all(numbers) and abs(float(numbers[0][1]) - float(numbers[1][1])) <= tolerance
        if one != other and not near:
            found.append(f"{one!r} is {other!r}")
    return found
