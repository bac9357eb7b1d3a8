"""Corpora: the registry of native layouts, and loading by name."""

import difflib
import re
from dataclasses import replace
from pathlib import Path

from voicefit.corpora import (
    aesdd,
    ased,
    baved,
    cafe,
    cameo,
    crema_d,
    emns,
    emodb,
    emotiontts,
    emov_db,
    emovo,
    emozionalmente,
    enterface,
    esd,
    folder,
    fsdd,
    iemocap,
    jl_corpus,
    mandarin,
    meld,
    mesd,
    msp_improv,
    msp_podcast,
    nemo,
    oreau,
    pavoque,
    ravdess,
    resd,
    savee,
    shemo,
    subesco,
    table,
    tess,
    urdu,
)
from voicefit.corpora.corpus import VOCABULARY, Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.errors import VoicefitError

__all__ = [
    "CORPORA",
    "VOCABULARY",
    "Clip",
    "Corpus",
    "CorpusInfo",
    "Reader",
    "corpus_infos",
    "load_clips",
    "load_corpus",
    "make_corpus",
    "parse_corpus_argument",
    "to_vocabulary",
]

_MODULES = (
    iemocap,
    msp_improv,
    msp_podcast,
    mandarin,
    esd,
    ravdess,
    tess,
    crema_d,
    emodb,
    emovo,
    nemo,
    savee,
    jl_corpus,
    emov_db,
    meld,
    cafe,
    emns,
    emozionalmente,
    enterface,
    mesd,
    oreau,
    pavoque,
    resd,
    subesco,
    cameo,
    ased,
    baved,
    urdu,
    shemo,
    aesdd,
    emotiontts,
    fsdd,
    folder,
    table,
)
"""The modules with readers, in the order in which corpora are listed."""

CORPORA: dict[str, Reader] = {reader.info.name: reader for module in _MODULES for reader in module.READERS}
"""The reader of each registry name. A module lists its readers in ``READERS``."""


def corpus_infos() -> list[CorpusInfo]:
    """Return the description of every corpus in the registry, in its order."""
    return [reader.info for reader in CORPORA.values()]


def load_corpus(name: str, path: str | Path) -> Corpus:
    """Load a corpus by name.

    A registry name, in upper or lower case, selects that layout; the corpus gets the registry's spelling.
    Any other name is the user's own name for a folder (see :mod:`voicefit.corpora.folder`) or a table
    (:mod:`voicefit.corpora.table`).

    Raises:
        VoicefitError: the path does not exist or has another layout, or the name is nearly a registry name.
    """
    path = Path(path).expanduser()
    if name.lower() in CORPORA:
        return CORPORA[name.lower()].load(name.lower(), path)
    by_letters = {re.sub(r"\W|_", "", registered): registered for registered in CORPORA}
    similar = difflib.get_close_matches(re.sub(r"\W|_", "", name.lower()), by_letters, n=1, cutoff=0.9)
    if similar:
        raise VoicefitError(
            f"no corpus is called {name!r}; did you mean {by_letters[similar[0]]!r}? "
            "If this is data of your own, give it another name"
        )
    if path.is_dir():
        return folder.load(name, path)
    if path.is_file() and table.is_table(path):
        return table.load(name, path)
    if path.exists():
        raise VoicefitError(f"{path}: neither a folder nor a table ({', '.join(table.SUFFIXES)})")
    raise VoicefitError(f"{path}: no such file or folder (corpus {name!r})")


def load_clips(path: str | Path, name: str = "folder", channel: int | None = None) -> Corpus:
    """Load clips of a user's own: a folder, or a table.

    Args:
        path: the folder or the table's file.
        name: the speaker's name where none is given.
        channel: the number of the one channel to take of each recording, from 1, unless a table names one.

    Raises:
        VoicefitError: as :func:`load_corpus`.
    """
    path = Path(path).expanduser()
    corpus = table.load(name, path) if path.is_file() else folder.load(name, path)
    if channel is None:
        return corpus
    return replace(corpus, clips=tuple(replace(clip, channel=clip.channel or channel) for clip in corpus.clips))


def parse_corpus_argument(argument: str) -> tuple[str, Path]:
    """Split ``NAME=PATH`` as written on the command line.

    >>> parse_corpus_argument("tess=data/TESS")
    ('tess', PosixPath('data/TESS'))

    Raises:
        VoicefitError: no ``=``, an empty path, or a name with characters other than letters, digits, ``_``
            and ``-``.
    """
    name, separator, path = argument.partition("=")
    if not separator or not path.strip():
        names = ", ".join(CORPORA)
        raise VoicefitError(f"{argument!r}: write NAME=PATH, with a NAME of {names} or a name of your own")
    # Names become keys of checkpoints and parts of file names.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise VoicefitError(f"{argument!r}: a corpus name consists of letters, digits, _ and -")
    return name, Path(path).expanduser()
