"""EMNS, the Emotive Narrative Storytelling corpus: ``metadata.csv`` lists the clips of one speaker.

Facts are from its page at OpenSLR (number 136), the abstract of its article, and the readers of nkululeko
(``felixbur/nkululeko``) and EmoBox (``emo-box/EmoBox``).
"""

from pathlib import Path

from voicefit.audio import RECORDING_SUFFIXES
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root
from voicefit.corpora.rows import read_rows
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="emns",
    title="EMNS",
    language="English",
    licence="Apache 2.0",
    usage="unrestricted",
    homepage="https://www.openslr.org/136/",
    citation=(
        "K. A. Noriy, X. Yang and J. J. Zhang, EMNS /Imz/ Corpus: An Emotive Single-Speaker Dataset for Narrative "
        "Storytelling in Games, Television and Graphic Novels, arXiv:2305.13137, 2023"
    ),
    expected_speakers=1,
)
"""Terms of use and published counts."""

COLUMNS = ("audio_recording", "emotion", "user_id")
"""These columns of ``metadata.csv`` are read; ``|`` is between them."""

FOLDERS = ("wavs", "cleaned_webm", "raw_webm", ".")
"""The clips are in the first of these folders that is there: converted, or as one of the two archives has them."""

_NOUNS = {"excited": "excitement", "sarcastic": "sarcasm"}
"""An emotion that the vocabulary does not have → the label."""


def load(name: str, root: Path) -> Corpus:
    """Read EMNS.

    A listed clip without a file is kept, and the check reports it; a file that is not listed is unlabelled. The
    archives hold WebM; where a clip is there in several formats, one that libsndfile reads is taken.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``metadata.csv`` beside the clips or a folder of them, or the one above it.

    Raises:
        VoicefitError: no ``metadata.csv``, one that cannot be read, or no recording beside it.
    """
    root = find_root(
        root, lambda folder: (folder / "metadata.csv").is_file(), "metadata.csv and cleaned_webm/ or wavs/"
    )
    rows = read_rows(root / "metadata.csv", COLUMNS, "the metadata.csv of EMNS", delimiter="|")
    recordings = next(filter(None, (audio_files(root / folder, "*", RECORDING_SUFFIXES) for folder in FOLDERS)), [])
    if not recordings:
        raise VoicefitError(f"{root}: no recording in {', '.join(FOLDERS[:-1])} or beside metadata.csv")
    by_stem = {path.stem: path for path in sorted(recordings, key=lambda path: path.suffix == ".webm", reverse=True)}
    clips = [_clip(row, root, recordings[0].parent, by_stem) for row in rows]
    listed = {clip.path.stem for clip in clips}
    unlisted = (path for path in recordings if path.stem not in listed)
    clips += [Clip(_id(path, root), path, UNKNOWN_SPEAKER, label=None) for path in unlisted]
    return make_corpus(name, root, INFO, clips)


def _clip(row: dict[str, str], root: Path, folder: Path, by_stem: dict[str, Path]) -> Clip:
    listed, native = Path(row["audio_recording"]), row["emotion"]
    if not listed.name:
        raise VoicefitError(f"{root / 'metadata.csv'}: a row without audio_recording")
    path = by_stem.get(listed.stem, folder / listed.name)
    label = _NOUNS.get(native.lower()) or to_vocabulary(native) or None
    return Clip(_id(path, root), path, row["user_id"] or UNKNOWN_SPEAKER, label, native)


def _id(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


READERS = (Reader(INFO, load),)
