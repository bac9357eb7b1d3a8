"""CAMEO: ``data/cafe-00000-of-00001.parquet``, and such a table with the audio inside it for each of 13 corpora.

Facts are from its card (``amu-cai/CAMEO`` on the Hugging Face hub), and from the programs of MTEB
(``embeddings-benchmark/mteb``, ``scripts/data/cameo_emotion``) and others that read it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import find_root
from voicefit.corpora.unpack import unpack

INFO = CorpusInfo(
    name="cameo",
    title="CAMEO",
    language="Bengali, English, French, German, Italian, Polish, Russian and Spanish",
    licence="CC BY-NC-SA 4.0",
    usage="non-commercial",
    homepage="https://huggingface.co/datasets/amu-cai/CAMEO",
    citation=(
        "I. Christop and M. Czajka, CAMEO: Collection of Multilingual Emotional Speech Corpora, arXiv:2505.11051, 2025"
    ),
)
"""Terms of use of the collection; its corpora have terms of their own."""

CORPORA = (
    "cafe",
    "crema_d",
    "emns",
    "emozionalmente",
    "enterface",
    "jl_corpus",
    "mesd",
    "nemo",
    "oreau",
    "pavoque",
    "ravdess",
    "resd",
    "subesco",
)
"""The corpora, as the tables are named. Those that are there are read: take a table away to leave a corpus out."""

_TABLE = re.compile(rf"({'|'.join(CORPORA)})-[0-9]{{5}}-of-[0-9]{{5}}")
"""The name of a table without suffix: the corpus, and which part of how many."""


def load(name: str, root: Path) -> Corpus:
    """Read the tables of CAMEO that are there. Their audio is first unpacked: see :mod:`voicefit.corpora.unpack`.

    A speaker's name begins with the corpus. MESD and RESD name no speakers: each of them is taken for one.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``data/``, or ``data/`` itself.

    Raises:
        VoicefitError: no table of CAMEO here, one that cannot be read, or no room to unpack its audio.
    """
    root = find_root(root, lambda folder: bool(_tables(folder)), "data/ with tables like cafe-00000-of-00001.parquet")
    return make_corpus(name, root, INFO, (clip for table in _tables(root) for clip in _clips(table)))


def _tables(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if _TABLE.fullmatch(path.stem))


def _clips(table: Path) -> Iterator[Clip]:
    corpus = table.stem.split("-")[0]
    for row in unpack(table, "audio", ("file_id", "emotion", "speaker_id")):
        speaker, native = row["speaker_id"], row["emotion"] or ""
        yield Clip(
            id=f"{corpus}/{row['file_id']}",
            path=row["file"],
            speaker=corpus if speaker in (None, "") else f"{corpus}-{speaker}",
            label=to_vocabulary(native) or None,
            native_label=native,
        )


READERS = (Reader(INFO, load),)
