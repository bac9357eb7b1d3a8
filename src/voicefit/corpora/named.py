"""Corpora whose paths name the speaker and the label of every clip."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from voicefit.corpora.corpus import Clip, Corpus, CorpusInfo, make_corpus
from voicefit.corpora.layout import UNKNOWN_SPEAKER, audio_files, find_root

ParsePath = Callable[[str], tuple[str, str] | None]
"""The path of a clip below the root, without suffix → speaker and native label; ``None`` for any other path."""


def load_named(
    name: str,
    root: Path,
    info: CorpusInfo,
    parse_path: ParsePath,
    labels: Mapping[str, str],
    *,
    pattern: str,
    expected: str,
) -> Corpus:
    """Read a corpus whose paths tell everything; a file with another path is unlabelled.

    Args:
        name: the user's name for the corpus.
        root: the folder that holds the native layout, or the one above it.
        info: terms of use and published counts.
        parse_path: takes a clip's path apart.
        labels: native label → label.
        pattern: the glob pattern of the corpus's files below the root.
        expected: the layout in words, for the message.

    Raises:
        VoicefitError: no file here has a path of this corpus.
    """

    def files(folder: Path) -> list[Path]:
        return audio_files(folder, pattern)

    root = find_root(root, lambda folder: any(parse_path(below(path, folder)) for path in files(folder)), expected)

    def clips() -> Iterator[Clip]:
        for path in files(root):
            clip_id = path.relative_to(root).as_posix()
            fields = parse_path(below(path, root))
            if fields is None:
                yield Clip(clip_id, path, UNKNOWN_SPEAKER, label=None)
            else:
                speaker, native = fields
                yield Clip(clip_id, path, speaker, labels[native], native)

    return make_corpus(name, root, info, clips())


def below(path: Path, root: Path) -> str:
    """Return the path below ``root`` without suffix, with forward slashes.

    >>> below(Path("BAVED/0/10-f-20-0-1-0.wav"), Path("BAVED"))
    '0/10-f-20-0-1-0'
    """
    return path.relative_to(root).with_suffix("").as_posix()
