"""Clip and Corpus: the table that every native layout is turned into, and the one vocabulary of labels."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from voicefit.errors import VoicefitError

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
"""The labels that corpora share; a corpus may carry others of its own."""

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


def to_vocabulary(native: str) -> str:
    """The vocabulary's word for a label in plain English (``Angry`` → ``anger``), else the label, lower case.

    >>> to_vocabulary("Happy"), to_vocabulary("sarcasm")
    ('happiness', 'sarcasm')
    """
    word = native.strip().lower().replace(" ", "_").replace("-", "_")
    return _ALIASES.get(word, word)


@dataclass(frozen=True)
class Clip:
    """One labelled stretch of speech.

    Attributes:
        id: unique within its corpus; the path relative to the corpus root with forward slashes, followed by
            ``#start-end`` in seconds where the clip is a part of its file.
        path: the audio file.
        speaker: the speaker's name, unique within the corpus.
        label: a word of :data:`VOCABULARY` or a label of the corpus's own; ``None`` for an unlabelled clip.
        native_label: the label as the corpus writes it, also where it stands for no label; empty if it writes none.
        start, end: seconds from the beginning of the file; ``end`` is ``None`` for the end of the file.
        split: the corpus's own split (``train``, ``validation``, ``test``), or ``None``.
        valence, arousal, dominance: mean rating on the corpus's own scale, or ``None`` if it has none.
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


@dataclass(frozen=True)
class CorpusInfo:
    """What a corpus is and under which terms it may be used, as its own documentation states them.

    Attributes:
        name: the registry name, lower case.
        title: the name as its authors write it.
        language: English name of the language spoken.
        licence: as its authors state it, for instance ``CC BY-NC-SA 4.0``.
        usage: ``unrestricted``, ``non-commercial``, ``research`` or ``unknown``.
        homepage: where the corpus is described or obtained; empty if none.
        citation: author, title, year.
        expected_clips, expected_speakers: the published counts, or ``None`` if there are none.
        expected_labels: published clips of each label, as far as they are known.
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


@dataclass(frozen=True)
class Reader:
    """One way to read a native layout; a corpus has several where users want other labels or a part of it.

    Attributes:
        info: terms of use and published counts; ``info.name`` is what users call this way of reading.
        load: the user's name for the corpus and its folder → the corpus.
    """

    info: CorpusInfo
    load: Callable[[str, Path], "Corpus"]


@dataclass(frozen=True)
class Corpus:
    """Clips and their terms of use; ``name`` is the user's for the corpus, ``info.name`` the registry's."""

    name: str
    root: Path
    info: CorpusInfo
    clips: tuple[Clip, ...]

    @property
    def labels(self) -> list[str]:
        """The labels that occur, sorted."""
        return sorted({clip.label for clip in self.clips if clip.label is not None})

    @property
    def speakers(self) -> list[str]:
        """The speakers that occur, sorted."""
        return sorted({clip.speaker for clip in self.clips})

    def select(self, keep: Callable[[Clip], bool]) -> "Corpus":
        """The same corpus with only the clips for which ``keep`` is true."""
        return replace(self, clips=tuple(clip for clip in self.clips if keep(clip)))

    def table(self) -> pd.DataFrame:
        """One row per clip with the attributes of :class:`Clip` as columns."""
        return pd.DataFrame([vars(clip) for clip in self.clips], columns=list(Clip.__dataclass_fields__))


def make_corpus(name: str, root: Path, info: CorpusInfo, clips: Iterable[Clip]) -> Corpus:
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
    return Corpus(name, root, info, ordered)
