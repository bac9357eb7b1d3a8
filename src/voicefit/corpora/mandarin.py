"""Mandarin Affective Speech (LDC2007S09): ``man_aff_spch/data/<speaker>/<emotion>/<kind>/<name>.wav``."""

import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

INFO = CorpusInfo(
    name="mandarin",
    title="Mandarin Affective Speech",
    language="Mandarin",
    licence="Mandarin Affective Speech Agreement of the LDC",
    usage="research",
    homepage="https://catalog.ldc.upenn.edu/LDC2007S09",
    citation="Y. Yang, Z. Wu, T. Wu and D. Li, Mandarin Affective Speech LDC2007S09, Linguistic Data Consortium 2007",
    expected_speakers=68,
)
"""Terms of use and published counts."""

EMOTIONS = {
    "anger": "anger",
    "elation": "elation",
    "neutral": "neutral",
    "panic": "panic",
    "sadness": "sadness",
}
"""Folder → label. Elation and panic are stronger than the vocabulary's happiness and fear."""

KINDS = {"phrase": "phrase", "sentence": "sentence", "utterance": "sentence", "paragraph": "paragraph"}
"""Folder, in the singular → what is read. The release calls the folder of the sentences ``utterance``."""

_PATH = re.compile(rf"([^/]+)/({'|'.join(EMOTIONS)})/({'|'.join(KINDS)})s?/[^/]+", re.IGNORECASE)
_LAYOUT = "man_aff_spch/data/ with files like 001/anger/phrase/101.wav"


def parse_path(path: str) -> tuple[str, str, str] | None:
    """The speaker, emotion and kind of a clip's path below ``data/``, or ``None`` for any other path.

    >>> parse_path("001/anger/utterance/201.wav")
    ('001', 'anger', 'sentence')
    """
    match = _PATH.fullmatch(path)
    return (match[1], match[2].lower(), KINDS[match[3].lower()]) if match else None


def load(name: str, root: Path, info: CorpusInfo = INFO, kinds: Collection[str] = tuple(KINDS.values())) -> Corpus:
    """Read Mandarin Affective Speech; clip ids begin at the speaker's folder.

    Args:
        name: the user's name for the corpus.
        root: ``man_aff_spch``, its ``data/``, or the folder above.
        info: terms of use and published counts of the kinds.
        kinds: ``phrase``, ``sentence`` or ``paragraph``; a file in no such folder is unlabelled and always read.

    Raises:
        VoicefitError: no clip of these kinds where they should be.
    """

    def data_folder(folder: Path) -> Path | None:
        for data in (folder, folder / "data"):
            paths = (path.relative_to(data).as_posix() for speaker in subfolders(data) for path in _files(speaker))
            if any(fields[2] in kinds for fields in map(parse_path, paths) if fields):
                return data
        return None

    data = data_folder(find_root(root, lambda folder: data_folder(folder) is not None, _LAYOUT))
    assert data is not None
    clips = (_clip(path, data, kinds) for speaker in subfolders(data) for path in _files(speaker))
    return make_corpus(name, data, info, (clip for clip in clips if clip is not None))


def _files(speaker_folder: Path) -> list[Path]:
    return audio_files(speaker_folder, "**/*")
