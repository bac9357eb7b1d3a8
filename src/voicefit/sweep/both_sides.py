"""The same audio where it should not be: in a target and in what was learnt from, or twice in a target."""

from collections.abc import Mapping, Sequence
from typing import Any

from voicefit.checkpoints.record import read_record
from voicefit.corpora import Clip, Corpus
from voicefit.corpora.same_audio import find_same_audio
from voicefit.system.progress import Progress, silent

_TRAINED_ON = ", which is pre-finetuned on"


def find_shared_audio(target: Corpus, corpora: Mapping[str, Corpus], progress: Progress = silent) -> list[str]:
    """Look for audio of a target in the corpora that starting points are trained on, and twice in the target.

    Args:
        target: the target corpus.
        corpora: those that starting points are trained on.
        progress: called after every clip.

    Returns:
        a line about each clip of the target whose audio is in another clip, linked, copied or in another encoding.
    """
    clips, others = _labelled(target), [clip for corpus in corpora.values() for clip in _labelled(corpus)]
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(f"comparing the audio of {target.name}", done, len(clips) + len(others))

    found = find_same_audio(clips, others, count)
    trained_on = {id(clip): name for name, corpus in corpora.items() for clip in corpus.clips}
    names = [trained_on.get(id(pair.other)) for pair in found]
    return [f"{pair} of {name}{_TRAINED_ON}" if name else str(pair) for pair, name in zip(found, names, strict=True)]


def describe_shared(target: str, lines: Sequence[str]) -> list[str]:
    """Say in a line each what audio of a target is trained on, and what it has twice.

    Args:
        target: its name.
        lines: of :func:`find_shared_audio`.
    """
    trained_on = [line for line in lines if line.endswith(_TRAINED_ON)]
    twice = [line for line in lines if not line.endswith(_TRAINED_ON)]
    said = []
    if trained_on:
        said.append(
            f"warning: targets.{target} holds audio that starting points are trained on, {_clips(trained_on)}, the "
            f"first: {trained_on[0]}. Such speakers are not new, and what pre-finetuning gains on them means nothing"
        )
    if twice:
        said.append(
            f"{target}: {_clips(twice)} with the audio of another one, the first: {twice[0]}; one may be among the "
            "shots and the other be tested"
        )
    return said


def learnt_from(source: str) -> list[str]:
    """Return the titles of the corpora that an encoder was pre-finetuned on, by its record; none for a plain encoder.

    Args:
        source: its directory, ``mini`` or hub id.
    """
    return [corpus["title"] for corpus in read_record(source).get("corpora", [])]


def describe_known(encoders: Mapping[str, Sequence[str]], targets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say in a line each which targets are of a corpus that an encoder of the plan has learnt from already.

    Args:
        encoders: name → :func:`learnt_from`.
        targets: name → ``title`` and ``homepage``. Folders and tables of a user's own have a title in common, and no
            homepage: of these it is not known.
    """
    lines = []
    for name, target in targets.items():
        known = [encoder for encoder, titles in encoders.items() if target.get("title") in titles]
        if known and target.get("homepage"):
            lines.append(
                f"warning: {', '.join(known)} learnt from {target['title']} before this plan: the speakers of "
                f"targets.{name} are not new to it, so that its scores there are too high"
            )
    return lines


def _clips(lines: Sequence[str]) -> str:
    return "1 clip" if len(lines) == 1 else f"{len(lines)} clips"


def _labelled(corpus: Corpus) -> list[Clip]:
    return [clip for clip in corpus.clips if clip.label is not None]
