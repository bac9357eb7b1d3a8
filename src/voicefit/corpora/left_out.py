"""What a person gave and what of it is not used: each named once, with the reason and what to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass
class Account:
    """What is known of what was given, beside the clips.

    Attributes:
        left_out: a file, a folder, a row or a stretch of a recording → why it is not used, and what to do.
        remarks: what else is not as one would expect, a sentence each.
        empty_labels: label → the folder that is named after it, and holds no recording.
    """

    left_out: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    empty_labels: dict[str, str] = field(default_factory=dict)

    def leave_out(self, what: str, why: str) -> None:
        """Note that something is not used; the first reason stays."""
        self.left_out.setdefault(what, why)

    def remark(self, words: str) -> None:
        """Note a sentence, once."""
        if words not in self.remarks:
            self.remarks.append(words)

    def lines(self) -> list[str]:
        """Everything in it, a line each."""
        return [
            *(f"{what} is left out: {why}" for what, why in self.left_out.items()),
            *(f"no recording of {label}: {folder} holds none" for label, folder in self.empty_labels.items()),
            *self.remarks,
        ]


def told_of_corpus(name: str, left_out: Mapping[str, str], account: Account) -> Iterator[str]:
    """Lines about a corpus: the clips that are left out, by the first of them, and everything in its account."""
    if left_out:
        clip, reason = next(iter(left_out.items()))
        clips = "1 clip is" if len(left_out) == 1 else f"{len(left_out)} clips are"
        yield f"{name}: {clips} left out, the first is {clip} ({reason})"
    yield from (f"{name}: {line}" for line in account.lines())
