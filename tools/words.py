"""Count the words a sentence of pages written in Markdown.

    python -m tools.words                    # README.md and docs/: a line a page
    python -m tools.words --long README.md   # and every sentence that is too long

Code blocks, tables, headings and HTML are left out. Code within a line counts as one word. An item of a list ends a
sentence. Numbers count as words.
"""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

AVERAGE = 17
"""A page may have this many words a sentence, on average."""

MOST = 40
"""A sentence may have this many words."""

ROOT = Path(__file__).resolve().parents[1]

_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+(?:\[[ x]\]\s+)?")
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|vs|cf|et al|etc|Dr|No|pp|ca)\.")
_SENTENCE = re.compile(r"(?<=[.!?])[)\"”’*_]*\s+(?=[\"“(\[*_]*[A-Z0-9À-Ý])")


@dataclass(frozen=True)
class Page:
    """The sentences of one page.

    Attributes:
        path: The page.
        sentences: Its sentences, in order.
    """

    path: Path
    sentences: tuple[str, ...]

    @property
    def average(self) -> float:
        """Words a sentence; 0 for a page without any."""
        return sum(map(count_words, self.sentences)) / max(1, len(self.sentences))

    @property
    def long(self) -> tuple[str, ...]:
        """The sentences of more than `MOST` words."""
        return tuple(sentence for sentence in self.sentences if count_words(sentence) > MOST)


def pages(root: Path = ROOT) -> list[Path]:
    """List what a reader is shown: the pages beside the README and those of the site."""
    return sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])


def read_page(path: Path) -> Page:
    """Read the sentences of a Markdown file."""
    return Page(path, tuple(sentences(path.read_text(encoding="utf-8"))))


def count_words(sentence: str) -> int:
    """Count what stands between spaces and has a letter or a digit.

    >>> count_words("One clip – of 3 s – is enough.")
    7
    """
    return sum(any(letter.isalnum() for letter in word) for word in sentence.split())


def sentences(text: str) -> Iterator[str]:
    r"""Split a Markdown text into sentences.

    >>> list(sentences("# Title\n\nOne clip. It is `a b c`,\nsee [the page](x.md).\n\n- An item\n- Another one."))
    ['One clip.', 'It is Code, see the page.', 'An item', 'Another one.']
    """
    for block in _blocks(_prose(text)):
        plain = _ABBREVIATIONS.sub(r"\1", block)
        yield from filter(count_words, _SENTENCE.split(plain))


def _prose(text: str) -> str:
    """Leave out what is no prose, and turn links and code into the words that a reader reads."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]+`", "Code", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])", r"\1", text)
    return re.sub(r"</?[a-z][^>]*>", "", text)


def _blocks(text: str) -> Iterator[str]:
    """Join the lines of each paragraph and of each item of a list."""
    lines: list[str] = []
    in_item = False
    for line in [*text.splitlines(), ""]:
        item = _ITEM.match(line)
        ends = not line.strip() or line.lstrip().startswith(("#", "|", ":::", "!!!", "???", "--8<--"))
        code = line.startswith("    ") and not item and not in_item and not lines
        if ends or item or code:
            if lines:
                yield " ".join(lines)
            lines = [line[item.end() :]] if item else []
        else:
            lines.append(line.strip().lstrip("> "))
        in_item = bool(item) or (in_item and (not line.strip() or line.startswith(" ")))


def main() -> None:
    """Print a line a page, and with --long the sentences that are too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", type=Path, default=pages())
    parser.add_argument("--long", action="store_true", help="print the sentences that are too long")
    arguments = parser.parse_args()
    print(f"{'average':>7} {'over ' + str(MOST):>7} {'sentences':>9}  page")
    for page in map(read_page, arguments.pages):
        name = page.path.resolve().relative_to(ROOT) if page.path.resolve().is_relative_to(ROOT) else page.path
        print(f"{page.average:7.1f} {len(page.long):7} {len(page.sentences):9}  {name}")
        for sentence in page.long if arguments.long else ():
            print(f"{count_words(sentence):15}  {sentence}")


if __name__ == "__main__":
    main()
