"""What MkDocs cannot do by itself: pages that lie beside docs/, reference pages made from the code, the demo's report.

Links between pages are written so that they work in the repository. Here they are turned to the places of the site.
"""

import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

DOCS = ROOT / "docs"
BESIDE = ("*.md", "research/*.md", "benchmarks/*.md", "experiments/README.md", "findings/README.md")
"""Pages of the site that lie outside docs/, by their place in the repository."""

_LINK = re.compile(r"(\]\()([^)\s#]+)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages beside docs/, the files that any page links to, and the reference."""
    from tools.reference import reference_pages

    beside = [path for pattern in BESIDE for path in sorted(ROOT.glob(pattern))]
    linked = {target for path in [*DOCS.rglob("*.md"), *beside] for target in _linked(path)}
    for path in sorted({*beside, *(path for path in linked if path.is_file() and DOCS not in path.parents)}):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for place, text in reference_pages().items():
        files.append(File.generated(config, place, content=text))
    demo = ROOT / "voicefit-demo" / "report"
    for path in sorted(demo.rglob("*")) if demo.is_dir() else ():
        if path.is_file():
            place = f"demo-report/{path.relative_to(demo).as_posix()}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links of the repository to the places of the site."""
    place = page.file.src_uri
    origin = DOCS / place if (DOCS / place).exists() or place.startswith("reference/") else ROOT / place

    def turned(found: re.Match[str]) -> str:
        if re.match(r"\w+:", found[2]):
            return found[0]
        target = (origin.parent / found[2]).resolve()
        base = DOCS if DOCS in target.parents else ROOT
        if ROOT not in target.parents:
            return found[0]
        return found[1] + posixpath.relpath(target.relative_to(base).as_posix(), posixpath.dirname(place) or ".")

    pieces, last = [], 0
    for code in _CODE.finditer(markdown):  # what looks like a link in code is none
        pieces += [_LINK.sub(turned, markdown[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*pieces, _LINK.sub(turned, markdown[last:])])


def on_page_content(html: str, **_: Any) -> str:
    """Leave the marks of Sphinx out, which docstrings have beside names."""
    return re.sub(r":(?:class|data|func|meth|mod):<code>~?", "<code>", html)


def _linked(path: Path) -> Iterator[Path]:
    """Yield what a page of the repository links to."""
    for target in _LINK.findall(_CODE.sub("", path.read_text(encoding="utf-8"))):
        if not re.match(r"\w+:", target[1]):
            yield (path.parent / target[1]).resolve()
