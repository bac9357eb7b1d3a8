"""A folder of your own: ``ROOT/<label>/<audio>`` or ``ROOT/<speaker>/<label>/<audio>``."""

from pathlib import Path

from voicefit.audio import RECORDING_SUFFIXES
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import audio_files
from voicefit.errors import VoicefitError

INFO = CorpusInfo(
    name="folder",
    title="folder of clips",
    language="any",
    licence="yours to state",
    usage="unknown",
    homepage="",
    citation="",
)
"""The registry lists folders of the user's own under this entry."""

_LABEL_DEPTH = 2
"""A path like ``<label>/<audio>`` has so many parts."""

_SPEAKER_DEPTH = 3
"""A path like ``<speaker>/<label>/<audio>`` has so many parts."""

_LAYOUTS = "<label>/<audio file> or <speaker>/<label>/<audio file>"
"""The two layouts, for messages."""


def load(name: str, root: Path) -> Corpus:
    """Read a folder whose subfolders are named after labels, in one folder per speaker or in none.

    Recordings that cannot be read (:data:`voicefit.audio.OTHER_SUFFIXES`) are clips too: the check then reports them.

    Args:
        name: the user's name for the corpus; also the speaker's name if there are no speaker folders.
        root: the folder.

    Raises:
        VoicefitError: no folder, no audio file, a file at another depth, or both layouts at once.
    """
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds {_LAYOUTS}")
    paths = [path.relative_to(root) for path in audio_files(root, "**/*", RECORDING_SUFFIXES)]
    if not paths:
        raise VoicefitError(f"{root}: no audio file below this folder; expected {_LAYOUTS}")
    _check_depth(root, paths)
    return make_corpus(name, root, INFO, (_clip(name, root, path) for path in paths))


def _check_depth(root: Path, paths: list[Path]) -> None:
    """Refuse files unless all are at the same depth, one of the two that are allowed."""
    first_at = {len(path.parts): path for path in reversed(paths)}
    for depth, path in sorted(first_at.items()):
        if depth not in (_LABEL_DEPTH, _SPEAKER_DEPTH):
            raise VoicefitError(f"{root}: {path.as_posix()} is not at the depth of {_LAYOUTS}; move it there")
    if len(first_at) > 1:
        raise VoicefitError(
            f"{root}: {first_at[_LABEL_DEPTH].as_posix()} has no speaker folder, "
            f"{first_at[_SPEAKER_DEPTH].as_posix()} has one; put all files in one layout: {_LAYOUTS}"
        )


def _clip(name: str, root: Path, path: Path) -> Clip:
    speaker = path.parts[0] if len(path.parts) == _SPEAKER_DEPTH else name
    native = path.parts[-2]
    return Clip(path.as_posix(), root / path, speaker, to_vocabulary(native) or None, native)


READERS = (Reader(INFO, load),)
