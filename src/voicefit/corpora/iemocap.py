"""IEMOCAP: ``Session1/dialog/EmoEvaluation/*.txt`` list the utterances, ``Session1/sentences/wav/`` holds them."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root, subfolders
from voicefit.errors import VoicefitError

EMOTIONS: dict[str, str | None] = {
    "ang": "anger",
    "dis": "disgust",
    "exc": "excitement",
    "fea": "fear",
    "fru": "frustration",
    "hap": "happiness",
    "neu": "neutral",
    "oth": "other",
    "sad": "sadness",
    "sur": "surprise",
    "xxx": None,  # the annotators did not agree
}
"""The code in the evaluation → the label of ``iemocap``; ``None`` for an unlabelled clip."""

FOUR: dict[str, str | None] = {
    "ang": "anger",
    "exc": "happiness",
    "hap": "happiness",
    "neu": "neutral",
    "sad": "sadness",
}
"""The code → the label of ``iemocap-4``, the classes of most published results; other utterances are left out."""

ALL: dict[str, str | None] = EMOTIONS | {"xxx": "undecided"}
"""The code → the label of ``iemocap-all``, in which disagreement is a class as well."""

INFO = CorpusInfo(
    name="iemocap",
    title="IEMOCAP",
    language="English",
    licence="signed release form of USC",
    usage="research",
    homepage="https://sail.usc.edu/iemocap/",
    citation=(
        "C. Busso, M. Bulut, C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. Chang, S. Lee and S. Narayanan, IEMOCAP: "
        "Interactive emotional dyadic motion capture database, Language Resources and Evaluation 42(4), 2008"
    ),
    expected_clips=10_039,
    expected_speakers=10,
    expected_labels={
        "anger": 1103,
        "disgust": 2,
        "excitement": 1041,
        "fear": 40,
        "frustration": 1849,
        "happiness": 595,
        "neutral": 1708,
        "other": 3,
        "sadness": 1084,
        "surprise": 107,
    },
)
"""Terms of use, and the counts that parsers of the full release report; the other 2,507 are ``xxx``."""

INFO_FOUR = replace(
    INFO,
    name="iemocap-4",
    title="IEMOCAP, 4 classes",
    expected_clips=5531,
    expected_labels={"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084},
)
"""Terms of use and counts of ``iemocap-4``, which has 4 classes."""

INFO_ALL = replace(
    INFO,
    name="iemocap-all",
    title="IEMOCAP, 11 classes",
    expected_labels={**INFO.expected_labels, "undecided": 2507},
)
"""Terms of use and counts of ``iemocap-all``, which has 11 classes."""

_NAME = r"(Ses0[1-5])[FM]_[A-Za-z0-9_]+_([FM])[A-Za-z0-9]+"
"""The name of an utterance, with groups for the session and the speaker's letter."""

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
"""A rating in an evaluation file."""

_RECORD = re.compile(
    rf"\[[0-9.]+ - [0-9.]+\]\s+({_NAME})\s+({'|'.join(EMOTIONS)})\s+\[{_NUMBER}, {_NUMBER}, {_NUMBER}\]"
)
"""A line of an evaluation file that describes an utterance."""


class Utterance(NamedTuple):
    """A line of an evaluation file; ratings are means over annotators from 1 to 5; an arousal of 1 is calm."""

    name: str
    emotion: str
    valence: float
    arousal: float
    dominance: float


def parse_line(line: str) -> Utterance | None:
    r"""Return the utterance that a line of an evaluation file describes, or ``None`` for any other line.

    >>> parse_line("[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.5000]")
    Utterance(name='Ses01F_impro01_F000', emotion='neu', valence=2.5, arousal=2.0, dominance=3.5)
    """
    match = _RECORD.fullmatch(line.strip())
    if match is None:
        return None
    name, _, _, emotion, *ratings = match.groups()
    return Utterance(name, emotion, *map(float, ratings))


def parse_speaker(name: str) -> str | None:
    """Return the speaker of an utterance: the session and the last letter F or M, or ``None`` for any other name.

    The first letter names the person who wore the markers, which is the speaker of only half the utterances.

    >>> parse_speaker("Ses01F_impro01_M003")
    'Ses01M'
    """
    match = re.fullmatch(_NAME, name)
    return match[1] + match[2] if match else None


def load(name: str, root: Path) -> Corpus:
    """Read IEMOCAP with every label that the annotators agreed on, and ratings of valence, arousal, dominance.

    A listed utterance without a file is kept, and the check reports it; a file that is not listed is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: ``IEMOCAP_full_release/``, which holds ``Session1/`` … ``Session5/``, or the folder above it.

    Raises:
        VoicefitError: no session here, or one without evaluation or without its audio; a damaged evaluation.
    """
    expected = "Session1/ … Session5/, each with dialog/EmoEvaluation/ and sentences/wav/,"
    root = find_root(root, lambda folder: bool(_sessions(folder)), expected)
    return make_corpus(name, root, INFO, (clip for session in _sessions(root) for clip in _clips(session, root)))


def _sessions(folder: Path) -> list[Path]:
    return [below for below in subfolders(folder) if re.fullmatch(r"Session[1-5]", below.name)]


def _clips(session: Path, root: Path) -> list[Clip]:
    evaluation, wav = session / "dialog" / "EmoEvaluation", session / "sentences" / "wav"
    for folder in (evaluation, wav):
        if not folder.is_dir():
            raise VoicefitError(f"{folder}: no such folder; was all of {session.name} of IEMOCAP unpacked?")
    files = audio_files(wav, "*/*")
    by_stem = {path.stem: path for path in reversed(files)}
    # The subfolders hold the files of each annotator, with the same content in other formats.
    sources = sorted(path for path in evaluation.glob("*.txt") if not path.name.startswith("."))
    listed = [_listed_clip(utterance, wav, root, by_stem) for path in sources for utterance in _read(path)]
    if not listed:
        raise VoicefitError(f"{evaluation}: expected files named like Ses01F_impro01.txt here")
    used = {clip.path for clip in listed}
    if used.isdisjoint(files):
        raise VoicefitError(f"{listed[0].path}: no such file, nor any other that {evaluation} lists")
    return listed + [_unlisted_clip(path, root) for path in files if path not in used]


def _read(path: Path) -> list[Utterance]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise VoicefitError(f"{path}: not readable ({error})") from error
    utterances = []
    for number, line in enumerate(lines, start=1):
        utterance = parse_line(line)
        if utterance is not None:
            utterances.append(utterance)
        elif line.startswith("["):
            raise VoicefitError(f"{path}, line {number}: expected [start - end] NAME emotion [V, A, D], not {line!r}")
    if not utterances:
        raise VoicefitError(f"{path}: no line of the form [start - end] NAME emotion [V, A, D]")
    return utterances


def _listed_clip(utterance: Utterance, wav: Path, root: Path, by_stem: dict[str, Path]) -> Clip:
    name, code, valence, arousal, dominance = utterance
    path = by_stem.get(name, wav / name.rpartition("_")[0] / f"{name}.wav")
    speaker = parse_speaker(name) or UNKNOWN_SPEAKER
    return Clip(
        id=path.relative_to(root).as_posix(),
        path=path,
        speaker=speaker,
        label=EMOTIONS[code],
        native_label=code,
        valence=valence,
        arousal=arousal,
        dominance=dominance,
    )


def _unlisted_clip(path: Path, root: Path) -> Clip:
    return Clip(path.relative_to(root).as_posix(), path, parse_speaker(path.stem) or UNKNOWN_SPEAKER, label=None)


def _relabelled(info: CorpusInfo, labels: Mapping[str, str | None]) -> Reader:
    """Return a reader of only the utterances of some codes, with other labels for them."""

    def load_relabelled(name: str, root: Path) -> Corpus:
        corpus = load(name, root)
        clips = (clip for clip in corpus.clips if clip.native_label in labels)
        return make_corpus(name, corpus.root, info, (replace(clip, label=labels[clip.native_label]) for clip in clips))

    return Reader(info, load_relabelled)


# Files that no evaluation lists have the native label "".
READERS = (Reader(INFO, load), _relabelled(INFO_FOUR, FOUR), _relabelled(INFO_ALL, ALL | {"": None}))
