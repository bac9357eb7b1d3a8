"""CaFE, the Canadian French Emotional speech dataset: ``Colère/Faible/01-C-1-1.wav`` or ``Neutre/01-N-1.wav``.

Facts are from its Readme, and from lists of its files at 48 and 192 kHz (``emo-box/EmoBox``,
``michen00/multilingual_speech_valence_classification_datasets``).
"""

import re
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root

EMOTIONS = {
    "C": "anger",  # colère
    "D": "disgust",  # dégoût
    "J": "happiness",  # joie
    "N": "neutral",  # neutre
    "P": "fear",  # peur
    "S": "surprise",  # surprise
    "T": "sadness",  # tristesse
}
"""The letter in the file name → the vocabulary's label."""

INFO = CorpusInfo(
    name="cafe",
    title="CaFE",
    language="French",
    licence="CC BY-NC-SA 4.0",
    usage="non-commercial",
    homepage="https://zenodo.org/records/1478765",
    citation=(
        "P. Gournay, O. Lahaie and R. Lefebvre, A Canadian French Emotional Speech Dataset, ACM Multimedia Systems "
        "Conference 2018"
    ),
    expected_clips=936,
    expected_speakers=12,
    expected_labels=dict.fromkeys(EMOTIONS.values(), 144) | {"neutral": 72},
)
"""Terms of use and published counts: 6 sentences of each speaker and emotion, weak and strong, and 6 neutral ones."""


def parse_name(stem: str) -> tuple[str, str] | None:
    """Return the speaker and emotion letter of a file name, or ``None`` for any other name.

    A neutral clip has no strength.

    >>> parse_name("01-C-1-6"), parse_name("03-N-5")
    (('01', 'C'), ('03', 'N'))
    """
    match = re.fullmatch(r"([0-9]{2})-(?:([CDJPST])-[12]|(N))-[1-6]", stem)
    return (match[1], match[2] or match[3]) if match else None


def load(name: str, root: Path) -> Corpus:
    """Read CaFE at 48 or 192 kHz; the latter comes in two parts, with six speakers each.

    Clip ids are the file names without suffix. Folders are not read: programs that unpack the archive write their
    accents in different ways.

    Args:
        name: the user's name for the corpus.
        root: the folder of the emotions' folders, or one above it.

    Raises:
        VoicefitError: no file named as in CaFE below the folder, or a clip that is there at both rates.
    """

    def is_root(folder: Path) -> bool:
        return any(parse_name(path.stem) for path in audio_files(folder, "**/*"))

    root = find_root(root, is_root, "folders such as Colère/Faible/ with files named like 01-C-1-1.wav")
    return make_corpus(name, root, INFO, (_clip(path, root) for path in audio_files(root, "**/*")))


def _clip(path: Path, root: Path) -> Clip:
    fields = parse_name(path.stem)
    if fields is None:
        return Clip(path.relative_to(root).as_posix(), path, UNKNOWN_SPEAKER, label=None)
    speaker, letter = fields
    return Clip(path.stem, path, speaker, EMOTIONS[letter], letter)


READERS = (Reader(INFO, load),)
