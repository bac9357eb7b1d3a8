"""Mandarin Affective Speech (LDC2007S09): ``man_aff_spch/data/001/anger/phrase/<name>.wav``."""

import functools
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.layout import audio_files, find_root, subfolders

INFO = CorpusInfo(
    name="mandarin",
    title="Mandarin Affective Speech",
    language="Mandarin",
    licence="LDC user agreement",
    usage="unknown",
    homepage="https://catalog.ldc.upenn.edu/LDC2007S09",
    citation="Y. Yang, Z. Wu, T. Wu and D. Li, Mandarin Affective Speech LDC2007S09, Linguistic Data Consortium 2007",
    expected_speakers=68,
)
"""Terms of use and published counts."""

EMOTIONS = {
    "anger": "anger",
    "elation": "happiness",
    "neutral": "neutral",
    "panic": "fear",
    "sadness": "sadness",
}
"""The folder → the vocabulary's label; the catalogue describes elation as happy and panic as terror."""

KINDS = {"phrase": "phrase", "utterance": "sentence", "sentence": "sentence", "paragraph": "paragraph"}
"""The folder, in the singular → the kind of text. The release has the sentences in the folder ``utterance``."""

_PATH = re.compile(rf"([^/]+)/({'|'.join(EMOTIONS)})/({'|'.join(KINDS)})s?/[^/]+", re.IGNORECASE)
"""The path of a clip below ``data/``: speaker, emotion and kind of text."""


def parse_path(path: str) -> tuple[str, str, str] | None:
    """Return the speaker, emotion folder and kind of a clip's path below ``data/``, or ``None`` for any other path.

    >>> parse_path("001/anger/utterance/2011.wav")
    ('001', 'anger', 'sentence')
    """
    match = _PATH.fullmatch(path)
    return (match[1], match[2], KINDS[match[3].lower()]) if match else None


def load(name: str, root: Path, info: CorpusInfo = INFO, kinds: Collection[str] = tuple(KINDS.values())) -> Corpus:
    """Read Mandarin Affective Speech; clip ids start with the speaker's folder.

    Args:
        name: the user's name for the corpus.
        root: ``man_aff_spch``, its ``data/``, or the folder above.
        info: terms of use and published counts of the kinds.
        kinds: the kinds to read, of ``phrase``, ``sentence`` and ``paragraph``.

    Raises:
        VoicefitError: no clip of these kinds in their folders.
    """

    @functools.cache  # listing a large corpus takes seconds
    def has_clips(data: Path) -> bool:
        clips = (_clip(path, data) for speaker in subfolders(data) for path in audio_files(speaker, "*/*/*"))
        return any(clip.label is not None and _kind(clip) in kinds for clip in clips)

    expected = f"data/ with audio in folders like 001/neutral/{next(f for f, kind in KINDS.items() if kind in kinds)}/"
    root = find_root(root, lambda folder: has_clips(folder) or has_clips(folder / "data"), expected)
    data = root if has_clips(root) else root / "data"
    clips = (_clip(path, data) for path in audio_files(data, "*/*/*/*"))
    return make_corpus(name, data, info, (clip for clip in clips if _kind(clip) in (*kinds, None)))


def _kind(clip: Clip) -> str | None:
    fields = parse_path(clip.id)
    return fields[2] if fields else None


def _clip(path: Path, data: Path) -> Clip:
    clip_id = path.relative_to(data).as_posix()
    fields = parse_path(clip_id)
    if fields is None:
        return Clip(clip_id, path, speaker=clip_id.split("/")[0], label=None)
    speaker, emotion, _ = fields
    return Clip(clip_id, path, speaker, EMOTIONS[emotion.lower()], emotion)


def _part(kind: str, clips: int | None, labels: Mapping[str, int]) -> Reader:
    info = replace(
        INFO,
        name=f"mandarin-{kind}s",
        title=f"{INFO.title}, {kind}s",
        expected_clips=clips,
        expected_labels=labels,
    )
    return Reader(info, lambda name, root: load(name, root, info, (kind,)))


READERS = (
    Reader(INFO, load),
    # 5 phrases, three times with each emotion, and 2 paragraphs, neutral only, by each of 68 speakers.
    _part("phrase", 5100, dict.fromkeys(EMOTIONS.values(), 1020)),
    _part("sentence", None, {}),
    _part("paragraph", 136, {"neutral": 136}),
)
