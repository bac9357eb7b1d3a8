"""JL-Corpus: ``Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/male1_angry_10a_1.wav``."""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root

EMOTIONS = {
    "angry": "anger",
    "excited": "excitement",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "anxious": "anxiety",
    "apologetic": "apology",
    "assertive": "assertiveness",
    "concerned": "concern",
    "encouraging": "encouragement",
}
"""The word in the file name → the label: five primary emotions, then five secondary ones."""

INFO = CorpusInfo(
    name="jl-corpus",
    title="JL-Corpus",
    language="English",
    licence="CC0 1.0",
    usage="unrestricted",
    homepage="https://www.kaggle.com/datasets/tli725/jl-corpus",
    citation=(
        "J. James, L. Tian and C. I. Watson, An Open Source Emotional Speech Corpus for Human Robot Interaction "
        "Applications, Interspeech 2018"
    ),
    expected_clips=2400,
    expected_speakers=4,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 240),
)
"""Terms of use and published counts: 60 clips of each speaker and emotion."""

_FOLDERS = ("Raw JL corpus (unchecked and unannotated)/JL(wav+txt)", "JL(wav+txt)")
"""The clips are in one of these folders."""


def parse_name(stem: str) -> tuple[str, str] | None:
    """Return the speaker and emotion of a file name, or ``None`` for any other name.

    >>> parse_name("male1_angry_10a_1")
    ('male1', 'angry')
    """
    match = re.fullmatch(rf"((?:fe)?male[12])_({'|'.join(EMOTIONS)})_[0-9]+[ab]_[0-9]", stem)
    return (match[1], match[2]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read JL-Corpus, primary and secondary emotions; clip ids are the file names.

    Args:
        name: the user's name for the corpus.
        root: the folder of the clips or, as the archive is unpacked, one of the two above it.

    Raises:
        VoicefitError: no file named as in JL-Corpus.
    """
    # The archive repeats some of its files in a folder with nearly the same name.
    root = next((root / folder for folder in _FOLDERS if _is_root(root / folder)), root)
    root = find_root(root, _is_root, f"{_FOLDERS[0]}/ with files named like male1_angry_10a_1.wav")
    return make_corpus(name, root, INFO, map(_clip, audio_files(root)))


def _is_root(folder: Path) -> bool:
    return any(parse_name(path.stem) for path in audio_files(folder))


def _clip(path: Path) -> Clip:
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(path.name, path, UNKNOWN_SPEAKER, label=None)
    speaker, emotion = fields
    return Clip(path.name, path, speaker, EMOTIONS[emotion], emotion)


READERS = (Reader(INFO, load),)
