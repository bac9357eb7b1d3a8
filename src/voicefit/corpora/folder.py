"""A folder of your own: ``ROOT/<label>/<audio>`` or ``ROOT/<speaker>/<label>/<audio>``, perhaps with splits around."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from voicefit.audio.find import Found, count_kinds, look_into, printable
from voicefit.corpora import audiofolder
from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus
from voicefit.corpora.labels import settle_labels
from voicefit.corpora.left_out import Account
from voicefit.corpora.splits import SPLIT_FOLDERS
from voicefit.errors import VoicefitError
from voicefit.system.files import nearest_folder

INFO = CorpusInfo(
    name="folder",
    title="folder of clips",
    language="any",
    licence="yours to state",
    usage="unknown",
    homepage="",
    citation="",
    labelled_by="any",
)
"""The registry lists folders of the user's own under this entry."""

_LABEL_DEPTH = 2
"""A path like ``<label>/<audio>`` has so many parts."""

_SPEAKER_DEPTH = 3
"""A path like ``<speaker>/<label>/<audio>`` has so many parts."""

_LAYOUTS = "<label>/<audio file> or <speaker>/<label>/<audio file>"
"""The two layouts, for messages."""


@dataclass(frozen=True)
class _Place:
    """A path below the folder, read: its split, speaker and label."""

    split: str | None
    speaker: str
    native: str


def load(name: str, root: Path) -> Corpus:
    """Read a folder whose subfolders are named after labels, in one folder per speaker or in none.

    Folders called ``train``, ``validation`` and ``test`` may be around them: the splits. A folder with
    ``metadata.csv`` or ``metadata.jsonl``, or with Parquet tables and no recording, is read as
    :mod:`voicefit.corpora.audiofolder` says. Recordings are known by
    their names or by their first bytes; those that cannot be read are clips too, and reading them says why. What else
    is there is in the corpus's account.

    Args:
        name: the user's name for the corpus; also the speaker's name if there are no speaker folders.
        root: the folder.

    Raises:
        VoicefitError: no folder, no audio file, a file at another depth, or both layouts at once.
    """
    if not root.is_dir():
        near = nearest_folder(root)
        words = f"did you mean {near}?" if near else f"expected one that holds {_LAYOUTS}"
        raise VoicefitError(f"{root}: no such folder; {words}")
    if tables := audiofolder.find_metadata(root):
        return audiofolder.load(name, root, tables, INFO)
    found = look_into(root)
    paths = [path.relative_to(root) for path in found.recordings]
    if not paths and (tables := audiofolder.find_parquet(root)):
        return audiofolder.load(name, root, tables, INFO)
    if not paths:
        raise VoicefitError(_nothing(root, found))
    # Of folders train/ and test/, the first part of a path is no speaker.
    split_depth = int(_has_splits(root, paths))
    _check_depth(root, paths, split_depth)
    account = _account(root, found)
    places = {path: _place(name, path, split_depth) for path in paths}
    empty, empty_above = _empty_folders(root, found, paths)
    for folder in empty_above:
        account.leave_out(f"{printable(folder.as_posix())}/", "no recording in it")
    natives = {place.native for place in places.values()}
    labels = settle_labels(natives | {_text(folder.name) for folder in empty}, account)
    clips = [
        Clip(
            printable(path.as_posix()),
            root / path,
            place.speaker,
            labels[place.native],
            place.native,
            split=place.split,
        )
        for path, place in places.items()
        if place.native in labels
    ]
    for path in paths:
        if places[path].native not in labels:
            account.leave_out(
                f"{printable(path.parent)}/", "its name holds no word, so that it names no label; rename it"
            )
    has_speakers = len(paths[0].parts) - split_depth == _SPEAKER_DEPTH
    _note_empty(empty, has_speakers, labels, {str(clip.label) for clip in clips}, account)
    return make_corpus(name, root, INFO, clips, account)


def label_folders(root: Path) -> dict[str, str]:
    """Return label → folder of a folder whose folders are named after labels, with recordings or without."""
    names = [_text(path.name) for path in look_into(root, depth=2).folders if path.parent == root]
    return {label: native for native, label in settle_labels(names, Account()).items()}


def _nothing(root: Path, found: Found) -> str:
    there = [f"{path.relative_to(root)}: {why}" for path, why in found.left_out.items()][:1]
    if found.others:
        there.append(f"it holds {count_kinds(found.others)}")
    words = f"{root}: no audio file below this folder; expected {_LAYOUTS}"
    return f"{words} ({'; '.join(there)})" if there else words


def _has_splits(root: Path, paths: list[Path]) -> bool:
    """Whether all recordings lie in folders that are called as splits are, and labels or speakers are below these."""
    return all(path.parts[0].lower() in SPLIT_FOLDERS and len(path.parts) > _LABEL_DEPTH for path in paths)


def _check_depth(root: Path, paths: list[Path], split_depth: int) -> None:
    """Refuse files unless all are at the same depth, one of the two that are allowed."""
    first_at = {len(path.parts) - split_depth: path for path in reversed(paths)}
    if max(first_at) == 1:
        raise VoicefitError(_flat(root, paths))
    for depth, path in sorted(first_at.items()):
        if depth not in (_LABEL_DEPTH, _SPEAKER_DEPTH):
            raise VoicefitError(f"{root}: {path.as_posix()} is not at the depth of {_LAYOUTS}; move it there")
    if len(first_at) > 1:
        raise VoicefitError(
            f"{root}: {first_at[_LABEL_DEPTH].as_posix()} has no speaker folder, "
            f"{first_at[_SPEAKER_DEPTH].as_posix()} has one; put all files in one layout: {_LAYOUTS}"
        )


def _flat(root: Path, paths: list[Path]) -> str:
    """What was found where no recording has a folder of a label, and what would do."""
    found = f"1 audio file, {paths[0].name}" if len(paths) == 1 else f"{len(paths)} audio files, as {paths[0].name}"
    return (
        f"{root}: holds {found}, and no folder named after a label. Read are {_LAYOUTS}; a table with the columns "
        "path and label, as clips.csv; and, as NAME=PATH, what `voicefit corpora list` names (docs/how-to/formats.md)"
    )


def _text(name: str) -> str:
    """A folder's name as text that can be written anywhere; a Mac and others write its letters differently."""
    return unicodedata.normalize("NFC", printable(name))


def _place(name: str, path: Path, split_depth: int) -> _Place:
    split = SPLIT_FOLDERS[path.parts[0].lower()] if split_depth else None
    has_speaker = len(path.parts) - split_depth == _SPEAKER_DEPTH
    return _Place(split, _text(path.parts[split_depth]) if has_speaker else name, _text(path.parts[-2]))


def _account(root: Path, found: Found) -> Account:
    account = Account()
    for path, why in found.left_out.items():
        account.leave_out(printable(path.relative_to(root).as_posix()), why)
    if found.others:
        files = "1 file is no recording" if len(found.others) == 1 else f"{len(found.others)} files are no recordings"
        account.remark(f"{files}: {count_kinds(found.others)}")
    return account


def _empty_folders(root: Path, found: Found, paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """The folders without a recording at the depth of labels, and those above it, as of a speaker, without a folder."""
    depth, used = len(paths[0].parts) - 1, {path.parent for path in paths}
    below = [folder.relative_to(root) for folder in found.folders if folder not in found.left_out]
    parents = {folder.relative_to(root).parent for folder in found.folders}
    labels = [folder for folder in below if len(folder.parts) == depth and folder not in used]
    return labels, [folder for folder in below if len(folder.parts) < depth and folder not in parents]


def _note_empty(
    empty: list[Path], has_speakers: bool, labels: dict[str, str], with_clips: set[str], account: Account
) -> None:
    """Note the folders without a recording; one alone with its label names a label without a clip."""
    for folder in empty:
        label, shown = labels.get(_text(folder.name)), f"{printable(folder.as_posix())}/"
        if label and label not in with_clips and not has_speakers:
            account.empty_labels[label] = shown
        else:
            account.leave_out(shown, "no recording in it")


READERS = (Reader(INFO, load),)
