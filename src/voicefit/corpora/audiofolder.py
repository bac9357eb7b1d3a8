"""Folders of Hugging Face's ``datasets``: ``metadata.csv`` or ``metadata.jsonl`` beside the recordings, or Parquet."""

from pathlib import Path

from voicefit.audio.find import count_kinds, look_into, printable
from voicefit.corpora.corpus import Corpus, CorpusInfo, make_corpus
from voicefit.corpora.left_out import Account
from voicefit.corpora.splits import SPLIT_FOLDERS
from voicefit.corpora.table import read_table, settle_rows

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def find_metadata(root: Path) -> dict[Path, str | None]:
    """Return the tables of such a folder, and the split of each: its own, or one in each folder of a split."""
    folders: dict[Path, str | None] = {root: None}
    folders |= {
        path: SPLIT_FOLDERS[path.name.lower()] for path in sorted(root.iterdir()) if path.name.lower() in SPLIT_FOLDERS
    }
    tables = {folder / name: split for folder, split in folders.items() for name in _NAMES}
    return {table: split for table, split in tables.items() if table.is_file()}


def find_parquet(root: Path) -> dict[Path, str | None]:
    """Return the Parquet tables of a data set as the hub has it, and the split that each name begins with."""
    tables = [*sorted(root.glob("*.parquet")), *sorted((root / "data").glob("*.parquet"))]
    return {table: SPLIT_FOLDERS.get(table.stem.split("-")[0].lower()) for table in tables}


def load(name: str, root: Path, tables: dict[Path, str | None], info: CorpusInfo) -> Corpus:
    """Read such a folder. A recording that no table lists is left out.

    Args:
        name: the user's name for the corpus.
        root: the folder.
        tables: see :func:`find_metadata`.
        info: what the corpus is.

    Raises:
        VoicefitError: as :func:`voicefit.corpora.table.load`.
    """
    account = Account()
    rows = [row for table, split in tables.items() for row in read_table(name, table, account, split, root)]
    clips = settle_rows(rows, account)
    listed = {clip.path for clip in clips}
    found = look_into(root)
    for path in found.recordings:
        if path not in listed:
            account.leave_out(printable(path.relative_to(root).as_posix()), "no table lists it")
    for path, why in found.left_out.items():
        account.leave_out(printable(path.relative_to(root).as_posix()), why)
    others = [path for path in found.others if path not in tables]
    if others:
        account.remark(f"other files are no recordings: {count_kinds(others)}")
    return make_corpus(name, root, info, clips, account)
