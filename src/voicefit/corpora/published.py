"""A corpus that is not here, as its documentation counts it: enough to tell what a plan would do with it."""

from pathlib import Path

from voicefit.corpora import CORPORA
from voicefit.corpora.corpus import Clip, Corpus
from voicefit.errors import VoicefitError


def published_corpus(name: str, path: str | Path) -> Corpus:
    """Return a corpus of clips that are not there: as many of each label as are published, shared by its speakers.

    Args:
        name: the user's name for the corpus.
        path: where it would be.

    Raises:
        VoicefitError: the registry has no corpus of that name.
    """
    reader, root = CORPORA.get(name.lower()), Path(path)
    if reader is None:
        raise VoicefitError(f"{path}: no such file or folder (corpus {name!r})")
    speakers = reader.info.expected_speakers or 0
    clips = (
        Clip(f"{speaker:04}/{label}/{take:04}", root, speaker=f"{speaker:04}", label=label)
        for label, count in reader.info.expected_labels.items()
        for speaker in range(1, speakers + 1)
        for take in range(count // speakers)
    )
    return Corpus(name.lower(), root, reader.info, tuple(sorted(clips, key=lambda clip: clip.id)))
