"""nEMO: ``data.tsv`` lists the clips, ``samples/`` holds them."""

from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, Reader, make_corpus, to_vocabulary
from voicefit.corpora.layout import audio_files, find_root
from voicefit.corpora.rows import read_rows

INFO = CorpusInfo(
    name="nemo",
    title="nEMO",
    language="Polish",
    licence="CC BY-NC-SA 4.0",
    usage="non-commercial",
    homepage="https://github.com/amu-cai/nEMO",
    citation="I. Christop, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024",
    expected_clips=4481,
    expected_speakers=9,
)
"""Terms of use and published counts."""

COLUMNS = ("file_id", "emotion", "speaker_id")
"""These columns of ``data.tsv`` are read."""


def load(name: str, root: Path) -> Corpus:
    """Read nEMO.

    A listed clip without a file is kept, and the check reports it; a file that is not listed is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds ``data.tsv`` and ``samples/``, or the one above it.

    Raises:
        VoicefitError: no ``data.tsv`` and ``samples/``, or a ``data.tsv`` that cannot be read.
    """
    root = find_root(root, _is_root, "data.tsv and samples/")
    samples = audio_files(root / "samples")
    # The table names .wav files, whatever their format is.
    by_stem = {path.stem: path for path in reversed(samples)}
    # Transcripts hold unpaired quotation marks, so that quoting is off.
    rows = read_rows(root / "data.tsv", COLUMNS, "the data.tsv of nEMO", delimiter="\t", quoting=False)
    listed = [_listed_clip(row, root, by_stem) for row in rows]
    used = {clip.path for clip in listed}
    return make_corpus(name, root, INFO, listed + [_unlisted_clip(path, root) for path in samples if path not in used])


def _is_root(folder: Path) -> bool:
    return (folder / "data.tsv").is_file() and (folder / "samples").is_dir()


def _listed_clip(row: dict[str, str], root: Path, by_stem: dict[str, Path]) -> Clip:
    listed = Path(row["file_id"])
    path = by_stem.get(listed.stem, root / "samples" / listed.name)
    native = row["emotion"]
    label = to_vocabulary(native) or None
    return Clip(path.relative_to(root).as_posix(), path, row["speaker_id"], label, native)


def _unlisted_clip(path: Path, root: Path) -> Clip:
    return Clip(path.relative_to(root).as_posix(), path, speaker=path.stem.split("_")[0], label=None)


READERS = (Reader(INFO, load),)
