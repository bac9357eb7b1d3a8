"""SAVEE: ``AudioData/DC/a01.wav``, or all speakers in one folder, ``DC_a01.wav``."""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root

INFO = CorpusInfo(
    name="savee",
    title="SAVEE",
    language="English",
    licence="research, on registration",
    usage="research",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    citation="S. Haq and P. J. B. Jackson, Multimodal Emotion Recognition, in Machine Audition, IGI Global 2010",
    expected_clips=480,
    expected_speakers=4,
    expected_labels={
        "anger": 60,
        "disgust": 60,
        "fear": 60,
        "happiness": 60,
        "neutral": 120,
        "sadness": 60,
        "surprise": 60,
    },
)
"""Terms of use and published counts: each speaker has 15 sentences for each emotion and 30 neutral ones."""

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
"""The letters in the file name → the vocabulary's label."""

SPEAKERS = ("DC", "JE", "JK", "KL")
"""The speakers, four men."""

_PATH = re.compile(rf"({'|'.join(SPEAKERS)})[/_]?((?:{'|'.join(EMOTIONS)})[0-9]{{2}}\.[^./]+)")
"""The path of a clip below the root: speaker, then emotion letters and number."""


def parse_path(path: str) -> tuple[str, str, str] | None:
    """Return the speaker, emotion letters and clip id of a path below the root, or ``None`` for any other path.

    >>> parse_path("DC/sa01.wav") == parse_path("DC_sa01.wav")
    True
    >>> parse_path("DC/sa01.wav")
    ('DC', 'sa', 'DC/sa01.wav')
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    return match[1], re.split("[0-9]", match[2])[0], f"{match[1]}/{match[2]}"


def load(name: str, root: Path) -> Corpus:
    """Read SAVEE; clip ids have a folder for each speaker, in both layouts.

    Args:
        name: the user's name for the corpus.
        root: the folder of the speakers' folders or of all clips, or the one above it.

    Raises:
        VoicefitError: no file named as in SAVEE, or a clip that is there in both layouts.
    """
    root = find_root(root, _is_root, "DC/, JE/, JK/ and KL/ with files named like a01.wav, or files named DC_a01.wav,")
    return make_corpus(name, root, INFO, (_clip(path, root) for path in _files(root)))


def _files(root: Path) -> list[Path]:
    return audio_files(root) + [path for speaker in SPEAKERS for path in audio_files(root / speaker)]


def _is_root(folder: Path) -> bool:
    return any(parse_path(path.relative_to(folder).as_posix()) for path in _files(folder))


def _clip(path: Path, root: Path) -> Clip:
    below = path.relative_to(root)
    fields = parse_path(below.as_posix())
    if fields is None:
        speaker = below.parts[0] if len(below.parts) > 1 else UNKNOWN_SPEAKER
        return Clip(below.as_posix(), path, speaker, label=None)
    speaker, letters, clip_id = fields
    return Clip(clip_id, path, speaker, EMOTIONS[letters], letters)


READERS = (Reader(INFO, load),)
