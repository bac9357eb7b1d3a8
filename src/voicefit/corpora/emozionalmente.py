"""Emozionalmente: ``metadata/samples.csv`` lists the clips, ``audio/`` holds them.

Facts are from its page at Zenodo (record 12616095) and the readers of nkululeko (``felixbur/nkululeko``) and EmoBox
(``emo-box/EmoBox``).
"""

from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutrality": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}
"""The emotion that the actor meant to express → the vocabulary's label."""

INFO = CorpusInfo(
    name="emozionalmente",
    title="Emozionalmente",
    language="Italian",
    licence="CC BY 4.0",
    usage="unrestricted",
    homepage="https://zenodo.org/records/12616095",
    citation=(
        "F. Catania, J. W. Wilke and F. Garzotto, Emozionalmente: A Crowdsourced Corpus of Simulated Emotional Speech "
        "in Italian, IEEE Transactions on Audio, Speech and Language Processing 33, 2025"
    ),
    expected_clips=6902,
    expected_speakers=431,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 986),
)
"""Terms of use and published counts."""

COLUMNS = ("file_name", "actor", "emotion_expressed")
"""These columns of ``samples.csv`` are read."""

_TABLE = Path("metadata", "samples.csv")
"""The table of the clips."""


def load(name: str, root: Path) -> Corpus:
    """Read Emozionalmente with the emotions that its actors meant to express; its listeners' votes are not read.

    A listed clip without a file is kept, and the check reports it; a file that is not listed is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``metadata/`` and ``audio/``, or the one above it.

    Raises:
        VoicefitError: no ``metadata/samples.csv`` and ``audio/``, or a table that cannot be read.
    """
    root = find_root(root, _is_root, f"{_TABLE.as_posix()} and audio/")
    audio = audio_files(root / "audio")
    # The table names .wav files, whatever their format is.
    by_stem = {path.stem: path for path in reversed(audio)}
    clips = [_clip(row, root, by_stem) for row in read_rows(root / _TABLE, COLUMNS, "the table of Emozionalmente")]
    used = {clip.path for clip in clips}
    clips += [Clip(f"audio/{path.name}", path, UNKNOWN_SPEAKER, label=None) for path in audio if path not in used]
    return make_corpus(name, root, INFO, clips)


def _is_root(folder: Path) -> bool:
    return (folder / _TABLE).is_file() and (folder / "audio").is_dir()


def _clip(row: dict[str, str], root: Path, by_stem: dict[str, Path]) -> Clip:
    listed, emotion = Path(row["file_name"]), row["emotion_expressed"]
    if not listed.name or emotion not in EMOTIONS:
        raise VoicefitError(
            f"{root / _TABLE}: {row['file_name']!r} with emotion {emotion!r} is no clip of Emozionalmente"
        )
    path = by_stem.get(listed.stem, root / "audio" / listed.name)
    return Clip(f"audio/{path.name}", path, row["actor"] or UNKNOWN_SPEAKER, EMOTIONS[emotion], emotion)


READERS = (Reader(INFO, load),)
