"""MSP-IMPROV: ``session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav``, labels in ``Evaluation.txt``.

The fields of a name: target sentence 01 in the scenario of anger; speaker F01; P for natural interaction between
the recordings, R for the sentence read, T for the sentence improvised, S for the other turns of the improvisation;
turn 01 in the scenario that the woman leads (MF: the man; FF and MM where one reads alone).
"""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root, subfolders
from voicefit.errors import VoicefitError

EMOTIONS: dict[str, str | None] = {
    "A": "anger",
    "H": "happiness",
    "N": "neutral",
    "O": "other",
    "S": "sadness",
    "X": None,  # the annotators did not agree
}
"""The letter of the evaluation → the label; ``None`` for an unlabelled clip. Scenarios have no O and X."""

INFO = CorpusInfo(
    name="msp-improv",
    title="MSP-IMPROV",
    language="English",
    licence="agreement with the MSP lab",
    usage="unknown",
    homepage="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html",
    citation=(
        "C. Busso, S. Parthasarathy, A. Burmania, M. AbdelWahab, N. Sadoughi and E. Mower Provost, MSP-IMPROV: An "
        "Acted Corpus of Dyadic Interactions to Study Emotion Perception, IEEE Trans. Affective Computing 8(1), 2017"
    ),
    expected_clips=8438,
    expected_speakers=12,
    expected_labels={"anger": 792, "happiness": 2644, "neutral": 3477, "other": 85, "sadness": 885},
)
"""Terms of use and the counts of the publication, Tables 3 and 4; on the other 555 the annotators disagreed."""

INFO_ACTED = replace(INFO, name="msp-improv-acted", title="MSP-IMPROV, acted scenario", expected_labels={})
"""Terms of use and counts of ``msp-improv-acted``, labelled by scenario."""

EVALUATIONS = ("Evaluation.txt", "Evalution.txt")
"""The label file has one of these names; some releases misspell it."""

_AUDIO = "Audio"
"""The sessions may be inside this folder."""

_KEY = r"S[0-9]{2}[AHNS]-[FM]0[1-6]-[PRST]-[FM]{2}[0-9]{2,3}"
"""The fields in the name of a clip."""

_NUMBER = r"([0-9]+(?:\.[0-9]+)?|NaN)"
"""A rating in the label file."""

_RECORD = re.compile(
    rf"UTD-IMPROV-({_KEY})\.avi\s*;\s*([{''.join(EMOTIONS)}])\s*;"
    rf"\s*A:{_NUMBER}\s*;\s*V:{_NUMBER}\s*;\s*D:{_NUMBER}\s*;.*"
)
"""A line of the label file that describes a clip."""


class Evaluation(NamedTuple):
    """The annotators' vote on a clip, and their mean ratings from 1 to 5; an arousal of 1 is calm."""

    stem: str
    emotion: str
    arousal: float | None
    valence: float | None
    dominance: float | None


def parse_line(line: str) -> Evaluation | None:
    """Return the clip that a line of the label file describes, or ``None`` for another line, such as a rater's.

    The file's A runs from 1, active, to 5, calm, in the opposite direction to V, D and the activation of other
    corpora; arousal is 6 − A.

    >>> parse_line("UTD-IMPROV-S01A-F02-R-FF01.avi; A; A:3.25; V:2.5; D:NaN ; N:3.75;")
    Evaluation(stem='MSP-IMPROV-S01A-F02-R-FF01', emotion='A', arousal=2.75, valence=2.5, dominance=None)
    """
    match = _RECORD.fullmatch(line.strip())
    if match is None:
        return None
    key, emotion, *numbers = match.groups()
    activation, valence, dominance = (None if math.isnan(value) else value for value in map(float, numbers))
    arousal = None if activation is None else 6 - activation
    return Evaluation(f"MSP-IMPROV-{key}", emotion, arousal, valence, dominance)


def parse_name(stem: str) -> tuple[str, str, str] | None:
    """Return the scenario, speaker and kind of recording of a file name, or ``None`` for any other name.

    >>> parse_name("MSP-IMPROV-S01A-F01-P-FM01")
    ('S01A', 'F01', 'P')
    """
    if re.fullmatch(rf"MSP-IMPROV-{_KEY}", stem) is None:
        return None
    scenario, speaker, kind = stem.split("-")[2:5]
    return scenario, speaker, kind


def load(name: str, root: Path) -> Corpus:
    """Read MSP-IMPROV with the emotion that the annotators perceived and their ratings.

    A listed clip without a file is kept, and the check reports it; a file that is not listed is unlabelled. Clip ids
    start with ``session1/``.

    Args:
        name: the user's name for the corpus.
        root: the folder of ``Evaluation.txt`` (or ``Evalution.txt``) and ``session1/`` … ``session6/``, which
            may be inside ``Audio/``; or the folder above it.

    Raises:
        VoicefitError: no label file or no session here; a damaged label file; or no audio of any clip that it lists.
    """
    base = _base(root)
    path = _evaluation(base)
    files = _files(base)
    by_stem = {file.stem: file for file in reversed(files)}
    listed = [_evaluated_clip(evaluation, base, by_stem) for evaluation in _read(path)]
    used = {clip.path for clip in listed}
    if used.isdisjoint(files):
        raise VoicefitError(f"{listed[0].path}: no such file, nor any other that {path} lists")
    unlisted = [replace(_named_clip(file, base), label=None, native_label="") for file in files if file not in used]
    return make_corpus(name, base, INFO, listed + unlisted)


def load_acted(name: str, root: Path) -> Corpus:
    """Read MSP-IMPROV with the emotion of the scenario, which is in the name of folder and file, as the label.

    It is the same for every turn, including those between the recordings and those of the other actor.

    Args:
        name: the user's name for the corpus.
        root: as for :func:`load`; no label file is needed.

    Raises:
        VoicefitError: no session here, or none with a file named as in MSP-IMPROV.
    """
    base = _base(root)
    clips = [_named_clip(path, base) for path in _files(base)]
    if all(clip.label is None for clip in clips):
        raise VoicefitError(f"{base}: expected files named like session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav here")
    return make_corpus(name, base, INFO_ACTED, clips)


def _sessions(folder: Path) -> list[Path]:
    return [below for below in subfolders(folder) if re.fullmatch(r"session[1-6]", below.name)]


def _base(root: Path) -> Path:
    """Return the folder that holds the sessions."""

    def is_root(folder: Path) -> bool:
        return bool(_sessions(folder) or _sessions(folder / _AUDIO))

    root = find_root(root, is_root, "session1/ … session6/, or Audio/ that holds them,")
    return root if _sessions(root) else root / _AUDIO


def _evaluation(base: Path) -> Path:
    """Return the label file: beside the sessions or beside ``Audio/``."""
    folders = [base.parent, base] if base.name == _AUDIO else [base]
    candidates = [folder / name for folder in folders for name in EVALUATIONS]
    for path in candidates:
        if path.is_file():
            return path
    raise VoicefitError(
        f"{candidates[0]}: no such file, nor {EVALUATIONS[1]}; it holds the labels. "
        f"{INFO_ACTED.name} reads the corpus without it"
    )


def _files(base: Path) -> list[Path]:
    return [path for session in _sessions(base) for path in audio_files(session, "*/*/*")]


def _read(path: Path) -> list[Evaluation]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise VoicefitError(f"{path}: not readable ({error})") from error
    evaluations = []
    for number, line in enumerate(lines, start=1):
        evaluation = parse_line(line)
        if evaluation is not None:
            evaluations.append(evaluation)
        elif line.startswith("UTD-IMPROV-"):
            raise VoicefitError(f"{path}, line {number}: expected NAME.avi; LETTER; A:…; V:…; D:…; not {line!r}")
    if not evaluations:
        raise VoicefitError(f"{path}: no line like UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:3.0; V:3.0; D:3.0;")
    return evaluations


def _evaluated_clip(evaluation: Evaluation, base: Path, by_stem: dict[str, Path]) -> Clip:
    stem = evaluation.stem
    scenario, speaker, kind = stem.split("-")[2:5]
    path = by_stem.get(stem, base / f"session{speaker[-1]}" / scenario / kind / f"{stem}.wav")
    return replace(
        _named_clip(path, base),
        label=EMOTIONS[evaluation.emotion],
        native_label=evaluation.emotion,
        valence=evaluation.valence,
        arousal=evaluation.arousal,
        dominance=evaluation.dominance,
    )


def _named_clip(path: Path, base: Path) -> Clip:
    """Return the clip that a file name describes: unlabelled if it follows no rule of the corpus."""
    clip_id = path.relative_to(base).as_posix()
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(clip_id, path, UNKNOWN_SPEAKER, label=None)
    scenario, speaker, _ = fields
    return Clip(clip_id, path, speaker, EMOTIONS[scenario[-1]], scenario[-1])


READERS = (Reader(INFO, load), Reader(INFO_ACTED, load_acted))
