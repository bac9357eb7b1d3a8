"""Clip and Corpus, the form that every native layout is read into, and the vocabulary of labels."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voicefit.corpora.left_out import Account
from voicefit.errors import VoicefitError

if TYPE_CHECKING:
    import pandas as pd

VOCABULARY = (
    "anger",
    "boredom",
    "calm",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
"""Corpora share these labels; a corpus may have others of its own."""

_ALIASES = {
    "angry": "anger",
    "bored": "boredom",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "anxiety": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "pleasant_surprise": "surprise",
    "pleasant_surprised": "surprise",
}
"""A native label in plain English → the vocabulary's word."""


def to_vocabulary(native: str) -> str:
    """Return the vocabulary's word for a label in English (``Angry`` → ``anger``), otherwise the label in lower case.

    >>> to_vocabulary("Happy"), to_vocabulary("sarcasm")
    ('happiness', 'sarcasm')
    """
    text = unicodedata.normalize("NFC", native).strip()  # file systems of a Mac and of others write letters differently
    word = text.lower().replace(" ", "_").replace("-", "_")
    return _ALIASES.get(word, word) if word.strip("_") else text


@dataclass(frozen=True)
class Clip:
    """A segment of speech with its speaker and label.

    Attributes:
        id: unique within its corpus; the path relative to the corpus root with forward slashes, followed by
            ``#start-end`` in seconds if the clip is a part of its file.
        path: the audio file.
        speaker: the speaker's name, unique within the corpus.
        label: a word of :data:`VOCABULARY` or a label of the corpus's own; ``None`` for an unlabelled clip.
        native_label: the label as the corpus writes it, even if it means no label; empty if it writes none.
        start: the start in seconds from the beginning of the file.
        end: the end in seconds; ``None`` is the end of the file.
        split: the corpus's own split (``train``, ``validation``, ``test``), or ``None``.
        valence: the mean rating on the corpus's own scale, or ``None`` if it has none.
        arousal: likewise.
        dominance: likewise.
        channel: the number of the one channel of the file to take, from 1; ``None`` is all of them.
    """

    id: str
    path: Path
    speaker: str
    label: str | None
    native_label: str = ""
    start: float = 0.0
    end: float | None = None
    split: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    channel: int | None = None


@dataclass(frozen=True)
class CorpusInfo:
    """The description of a corpus and its terms of use, as its own documentation states them.

    Attributes:
        name: the registry name, lower case.
        title: the name as its authors write it.
        language: the English name of the language spoken.
        licence: the licence as its authors state it, for instance ``CC BY-NC-SA 4.0``.
        usage: ``unrestricted``, ``non-commercial``, ``research`` or ``unknown``.
        homepage: the address of its description or download; empty if there is none.
        citation: author, title, year.
        expected_clips: the published number of clips, or ``None`` if there is none.
        expected_speakers: the published number of speakers, or ``None``.
        expected_labels: the published number of clips of each label, as far as known.
        labelled_by: what its labels tell: ``emotion``, ``intensity``, ``statement``, ``word``, ``digit``, or ``any``.
    """

    name: str
    title: str
    language: str
    licence: str
    usage: str
    homepage: str
    citation: str
    expected_clips: int | None = None
    expected_speakers: int | None = None
    expected_labels: Mapping[str, int] = field(default_factory=dict)
    labelled_by: str = "emotion"


@dataclass(frozen=True)
class Reader:
    """A way to read a native layout; a corpus has several for other labels or for a part of it.

    Attributes:
        info: terms of use and published counts; ``info.name`` is the name of this way of reading.
        load: the user's name for the corpus and its folder → the corpus.
    """

    info: CorpusInfo
    load: Callable[[str, Path], "Corpus"]


@dataclass(frozen=True)
class Corpus:
    """Clips and their terms of use.

    Attributes:
        name: the user's name for the corpus; ``info.name`` is the registry's.
        root: its folder.
        info: its terms of use and published counts.
        clips: its clips, sorted by id.
        account: what was given beside them, and is not used.
    """

    name: str
    root: Path
    info: CorpusInfo
    clips: tuple[Clip, ...]
    account: Account = field(default_factory=Account, compare=False)

    @property
    def labels(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted({clip.label for clip in self.clips if clip.label is not None})

    @property
    def speakers(self) -> list[str]:
        """The speakers that occur, sorted."""
        return sorted({clip.speaker for clip in self.clips})

    def select(self, keep: Callable[[Clip], bool]) -> "Corpus":
        """Return the corpus with only the clips for which ``keep`` is true."""
        return replace(self, clips=tuple(clip for clip in self.clips if keep(clip)))

    def table(self) -> "pd.DataFrame":
        """Return a table with a row per clip and the attributes of :class:`Clip` as columns."""
        import pandas as pd

        return pd.DataFrame([vars(clip) for clip in self.clips], columns=list(Clip.__dataclass_fields__))


def make_corpus(
    name: str, root: Path, info: CorpusInfo, clips: Iterable[Clip], account: Account | None = None
) -> Corpus:
    """Build a corpus with its clips sorted by id.

    Raises:
        VoicefitError: no clip at all, or two clips with one id.
    """
    ordered = tuple(sorted(clips, key=lambda clip: clip.id))
    if not ordered:
        raise VoicefitError(f"{root}: no clip of {info.title} found here")
    repeated = [clip_id for clip_id, count in Counter(clip.id for clip in ordered).items() if count > 1]
    if repeated:
        raise VoicefitError(f"{root}: {len(repeated)} clips are listed twice, the first is {repeated[0]}")
    return Corpus(name, root, info, ordered, account or Account())
