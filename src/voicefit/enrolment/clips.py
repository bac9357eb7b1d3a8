"""The labelled clips of one voice, as a person gives them."""

from pathlib import Path

from voicefit.adaptation.shots import OTHER
from voicefit.audio.find import look_into
from voicefit.corpora import Clip, Corpus, load_clips
from voicefit.corpora.folder import label_folders
from voicefit.errors import VoicefitError


def load_voice(clips: str | Path, channel: int | None = None) -> Corpus:
    """Load a folder or a table of clips of one voice; those without a label are left out.

    Raises:
        VoicefitError: the clips cannot be loaded, none has a label, or they are of several speakers.
    """
    corpus = load_labelled(clips, channel)
    if len(corpus.speakers) > 1:
        first, second, *_ = corpus.speakers
        raise VoicefitError(
            f"{clips}: holds clips of several speakers ({first}, {second} …); a model is of one: give the folder of one"
        )
    return corpus


def load_labelled(clips: str | Path, channel: int | None = None) -> Corpus:
    """Load a folder or a table of clips, whoever speaks; those without a label are left out.

    Raises:
        VoicefitError: the clips cannot be loaded, or none has a label.
    """
    corpus = load_clips(clips, channel=channel)
    for clip in corpus.clips:
        if clip.label is None:
            corpus.account.leave_out(clip.id, "it has no label")
    if not corpus.labels:
        raise VoicefitError(f"{clips}: no clip has a label")
    return corpus.select(lambda clip: clip.label is not None)


def named_labels(corpus: Corpus) -> set[str]:
    """Return the labels of a voice's clips, and those of folders beside theirs that are empty."""
    return set(corpus.account.empty_labels) | set(corpus.labels)


def in_order(labels: set[str]) -> list[str]:
    """Sort labels; where one is told from a rest that has no name, the rest comes first, as methods expect it."""
    return sorted(labels, key=lambda label: (label != OTHER, label) if len(labels) == 2 else (False, label))


def labels_and_clips(folder: str | Path, channel: int | None = None) -> tuple[list[str], list[Clip], dict[str, str]]:
    """Return the names of a folder's folders, the clips in them, and what else is there → why not used.

    Raises:
        VoicefitError: there is no such folder, or it names fewer than two labels.
    """
    root = Path(folder)
    if not root.is_dir():
        raise VoicefitError(f"{root}: no such folder; expected one that holds <label>/<audio file>")
    if look_into(root).recordings:
        corpus = load_voice(root, channel)
        labels, clips, left_out = named_labels(corpus), list(corpus.clips), corpus.account.left_out
    else:
        labels, clips, left_out = set(label_folders(root)), [], {}
    if len(labels) < 2:
        raise VoicefitError(f"{root}: names {len(labels)} label; make a folder, empty if need be, for each")
    return in_order(set(labels)), clips, left_out
