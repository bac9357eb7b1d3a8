"""CREMA-D: ``AudioWAV/1001_DFA_ANG_XX.wav``; the listeners' votes are in ``processedResults/summaryTable.csv``."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
"""The code in the file name → the vocabulary's label; a vote is the code's first letter."""

INFO = CorpusInfo(
    name="crema-d",
    title="CREMA-D",
    language="English",
    licence="ODbL 1.0, DbCL 1.0",
    usage="unrestricted",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova and R. Verma, CREMA-D: Crowd-Sourced Emotional "
        "Multimodal Actors Dataset, IEEE Transactions on Affective Computing 5(4), 2014"
    ),
    expected_clips=7442,
    expected_speakers=91,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 1271) | {"neutral": 1087},
)
"""Terms of use and published counts."""

PERCEIVED = replace(
    INFO,
    name="crema-d-perceived",
    title="CREMA-D, as heard by listeners",
    expected_labels={
        "anger": 986,
        "disgust": 547,
        "fear": 645,
        "happiness": 353,
        "neutral": 3897,
        "sadness": 370,
    },
)
"""Terms of use and published counts of ``crema-d-perceived``, labelled by the majority of listeners.

The listeners heard the actor, but did not see the video. They were undecided on 644 clips.
"""

_AUDIO = "AudioWAV"
"""The folder of the clips."""

_VOTES = ("processedResults/summaryTable.csv", "data/InfoAndStats/processedResults/summaryTable.csv")
"""The table of the listeners' votes is in one of these files, which differ between releases."""

_COLUMNS = ("FileName", "VoiceVote")
"""These columns of the table are read."""

_MISNAMED = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
"""The name of a released file → its name in the table of votes."""


def parse_name(stem: str) -> tuple[str, str] | None:
    """Return the actor and emotion code of a file name, or ``None`` for any other name.

    >>> parse_name("1001_DFA_ANG_XX")
    ('1001', 'ANG')
    """
    match = re.fullmatch(rf"(1[0-9]{{3}})_[A-Z]{{3}}_({'|'.join(EMOTIONS)})_(?:LO|MD|HI|XX?)", stem)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read CREMA-D with the acted emotions as labels.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``AudioWAV/``, the one above it, or ``AudioWAV/`` itself; ids are the same.

    Raises:
        VoicefitError: no ``AudioWAV/`` with files named as in CREMA-D.
    """
    root = _find_root(root)
    return make_corpus(name, root, INFO, (_clip(path, root) for path in audio_files(root / _AUDIO)))


def load_perceived(name: str, root: Path) -> Corpus:
    """Read CREMA-D with the emotion that most listeners heard; in case of a tie, the clip is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: as for :func:`load`, with ``processedResults/summaryTable.csv`` beside ``AudioWAV/``.

    Raises:
        VoicefitError: no ``AudioWAV/``, or no readable table of votes.
    """
    root = _find_root(root)
    votes = _read_votes(root)
    clips = [_with_vote(_clip(path, root), votes) for path in audio_files(root / _AUDIO)]
    stems = {_MISNAMED.get(clip.path.stem, clip.path.stem) for clip in clips}
    if stems.isdisjoint(votes):
        raise VoicefitError(f"{root / _AUDIO}: no clip that summaryTable.csv lists is here")
    absent = (_clip(root / _AUDIO / f"{stem}.wav", root) for stem in votes if stem not in stems)
    return make_corpus(name, root, PERCEIVED, clips + [_with_vote(clip, votes) for clip in absent])


def _find_root(root: Path) -> Path:
    if root.name == _AUDIO and not _is_root(root) and _is_root(root.parent):
        root = root.parent
    return find_root(root, _is_root, f"{_AUDIO}/ with files named like 1001_DFA_ANG_XX.wav")


def _is_root(folder: Path) -> bool:
    return any(parse_name(path.stem) for path in audio_files(folder / _AUDIO))


def _clip(path: Path, root: Path) -> Clip:
    clip_id = path.relative_to(root).as_posix()
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(clip_id, path, UNKNOWN_SPEAKER, label=None)
    actor, code = fields
    return Clip(clip_id, path, actor, EMOTIONS[code], code)


def _read_votes(root: Path) -> dict[str, str]:
    """Return file name without suffix → letters of the emotions with most votes, joined by colons if several."""
    candidates = [root / name for name in _VOTES]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise VoicefitError(f"{candidates[0]}: no such file; the table of the listeners' votes is needed")
    votes: dict[str, str] = {}
    for row in read_rows(path, _COLUMNS, "the summaryTable.csv of CREMA-D"):
        stem, vote = (row[column] for column in _COLUMNS)
        if Path(stem).name != stem or stem in ("", ".."):
            raise VoicefitError(f"{path}: {stem!r} is no name of a clip")
        if votes.setdefault(stem, vote) != vote:
            raise VoicefitError(f"{path}: two votes for {stem}, {votes[stem]} and {vote}")
    return votes


def _with_vote(clip: Clip, votes: Mapping[str, str]) -> Clip:
    vote = votes.get(_MISNAMED.get(clip.path.stem, clip.path.stem), "")
    label = {code[0]: label for code, label in EMOTIONS.items()}.get(vote)
    return replace(clip, label=label, native_label=vote if label else "")


READERS = (Reader(INFO, load), Reader(PERCEIVED, load_perceived))
