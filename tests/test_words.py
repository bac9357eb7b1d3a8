"""Pages are written in short sentences, and lead where they say."""

import re

import pytest

from tools.words import AVERAGE, MOST, ROOT, count_words, pages, read_page, sentences

PAGES = {str(path.relative_to(ROOT)): path for path in pages()}
LINKED = [*pages(), *ROOT.glob("research/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("*/README.md")]


@pytest.mark.parametrize("name", PAGES)
def test_sentences_are_short(name):
    page = read_page(PAGES[name])
    assert page.average <= AVERAGE, f"{page.average:.1f} words a sentence; python -m tools.words --long {name}"
    assert not page.long, page.long


@pytest.mark.parametrize("path", sorted(set(LINKED) - set(pages())), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_of_the_journal_is_over_long(path):
    assert not read_page(path).long


def test_what_is_counted():
    text = "# A title of five words\n\nTwo words. `a b c` is one, e.g. here.\n\n| a | table |\n|---|---|\n"
    text += "\n    code here\n"
    text += "\n- An item [of a list](x.md)\n  goes on.\n- Next\n\n```bash\nmore code\n```\n"
    assert list(sentences(text)) == ["Two words.", "Code is one, e.g here.", "An item of a list goes on.", "Next"]
    assert count_words("0.081 macro F1 – at k = 2.") == 6
    assert not any(count_words(sentence) > MOST for sentence in sentences("One. " * 50))


def anchors(text: str) -> set[str]:
    """The names that GitHub and the site give to headings."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", sorted(set(LINKED)), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists() or "docs/reference" in str(linked), f"{path}: {target}"
        if anchor and linked.suffix == ".md" and linked.exists():
            assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{path}: {target}"
