"""Labels of a user's own: what their words become, and which of them are kept apart."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable

from voicefit.corpora.corpus import VOCABULARY, to_vocabulary
from voicefit.corpora.left_out import Account


def plain(native: str) -> str:
    """A label as it is written, in lower case and with one sign between words.

    >>> plain("Up set") == plain("up-set")
    True
    """
    text = unicodedata.normalize("NFC", native).strip()
    word = "_".join(text.lower().replace("-", " ").replace("_", " ").split())
    return word or text


def settle_labels(natives: Iterable[str], account: Account) -> dict[str, str]:
    """Return native label → label.

    Each becomes the vocabulary's word. Two that would become one word, as "happy" and "joy", stay two, each as it is
    written: whoever names two labels tells two things apart. Labels that differ in case or hyphens alone are one.
    Both are noted in the account, and so is each that became another word.

    Args:
        natives: the labels as they are written; one without a word is left out.
        account: takes the notes.
    """
    by_word: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for native in natives:
        if plain(native):
            by_word[to_vocabulary(native)][plain(native)].add(native)
    labels: dict[str, str] = {}
    for word, forms in by_word.items():
        for form, spellings in forms.items():
            labels |= dict.fromkeys(spellings, word if len(forms) == 1 else form)
            if len({unicodedata.normalize("NFC", spelling).strip() for spelling in spellings}) > 1:
                account.remark(f"{_listed(spellings)} are taken as one label, {word if len(forms) == 1 else form}")
        if len(forms) > 1:
            account.remark(
                f"{_listed(forms)} would both be read as {word}; they are kept as {len(forms)} labels: name them alike "
                "if they mean one thing"
                if len(forms) == 2
                else f"{_listed(forms)} would all be read as {word}; they are kept as {len(forms)} labels: name them "
                "alike if they mean one thing"
            )
    renamed = [native for native, label in labels.items() if label != plain(native) and label in VOCABULARY]
    if renamed:
        first, *more = sorted(renamed)
        words = ", ".join(f"{native} as {labels[native]}" for native in more)
        account.remark(f"{first} is read as the label {labels[first]}{', ' if words else ''}{words}")
    return labels


def _listed(words: Iterable[str]) -> str:
    *most, last = sorted(words)
    return f"{', '.join(most)} and {last}"
