"""PAVOQUE: ``pavoque-angry.yaml`` lists the clips of one speaker in ``pavoque-angry.flac``, and so for other styles.

Facts are from its repository and release (``marytts/pavoque-data``), and the reader of EmoBox (``emo-box/EmoBox``).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="pavoque",
    title="PAVOQUE",
    language="German",
    licence="CC BY-NC-SA 4.0",
    usage="non-commercial",
    homepage="https://github.com/marytts/pavoque-data",
    citation=(
        "I. Steiner, M. Schröder and A. Klepp, The PAVOQUE Corpus as a Resource for Analysis and Synthesis of "
        "Expressive Speech, Phonetik & Phonologie 9, 2013"
    ),
    expected_speakers=1,
)
"""Terms of use and published counts."""

STYLES = {"angry": "anger", "happy": "happiness", "neutral": "neutral", "poker": "poker", "sad": "sadness"}
"""The style of speaking → the label. Poker is the voice of a cool player; outtakes are not read."""

SPEAKER = "Stefan"
"""The speaker, an actor and singer."""

_KEYS = ("style", "start", "end")
"""These values of each clip are read."""

_LINE = re.compile(r"(- |  )(\w+): (.*)")
"""A line of a list with a value of a clip; the first value of a clip has a dash. Deeper lines are its phones."""


def load(name: str, root: Path) -> Corpus:
    """Read PAVOQUE. Each style is one recording, of which the clips are parts.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds the lists and recordings of the styles, or the one above it.

    Raises:
        VoicefitError: no list with a recording beside it, or a list that cannot be read.
    """
    root = find_root(root, lambda folder: bool(_recordings(folder)), "pavoque-neutral.yaml and pavoque-neutral.flac")
    clips = (clip for style, path in _recordings(root).items() for clip in _clips(root, style, path))
    return make_corpus(name, root, INFO, clips)


def _recordings(folder: Path) -> dict[str, Path]:
    """Return style → its recording, for the styles whose list is there too."""
    by_stem = {path.stem: path for path in audio_files(folder, "pavoque-*")}
    styles = (style for style in STYLES if (folder / f"pavoque-{style}.yaml").is_file())
    return {style: by_stem[f"pavoque-{style}"] for style in styles if f"pavoque-{style}" in by_stem}


def _clips(root: Path, style: str, recording: Path) -> Iterator[Clip]:
    table = root / f"pavoque-{style}.yaml"
    for number, fields in enumerate(_read_list(table), start=1):
        missing = [key for key in _KEYS if key not in fields]
        if missing:
            raise VoicefitError(
                f"{table}: clip {number}: no {', '.join(missing)}; is this a list of PAVOQUE's release?"
            )
        native = fields["style"]
        start, end = (_seconds(table, number, fields[key]) for key in ("start", "end"))
        if native.lower() not in STYLES or start >= end:
            raise VoicefitError(f"{table}: clip {number}: style {native!r} from {start} to {end} s")
        clip_id = f"{recording.name}#{start}-{end}"
        yield Clip(clip_id, recording, SPEAKER, STYLES[native.lower()], native, start, end)


def _seconds(table: Path, number: int, text: str) -> float:
    if not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
        raise VoicefitError(f"{table}: clip {number}: {text!r} is no number of seconds")
    return float(text)


def _read_list(path: Path) -> list[dict[str, str]]:
    """Return the values of each clip. The list is YAML of the plainest kind: a line for each value."""
    clips: list[dict[str, str]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise VoicefitError(f"{path}: not readable as a list of PAVOQUE ({error})") from error
    for match in filter(None, map(_LINE.fullmatch, lines)):
        if match[1] == "- ":
            clips.append({})
        if clips and match[2] in _KEYS:
            clips[-1][match[2]] = match[3].strip(" '\"")
    if not clips:
        raise VoicefitError(f"{path}: lists no clip")
    return clips


READERS = (Reader(INFO, load),)
