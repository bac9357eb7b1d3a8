"""The same audio where a sweep may not have it: in a target and in what is pre-finetuned on, or twice in a target."""

from collections import Counter
from collections.abc import Mapping, Sequence

from voicefit.corpora import Clip, Corpus
from voicefit.corpora.same_audio import SameAudio, find_same_audio
from voicefit.errors import VoicefitError
from voicefit.system.progress import Progress, silent

_MOST_SHARED = 0.5
"""A target with a speaker of whose clips a larger share is trained on is refused: that speaker would not be new."""


def find_shared_audio(target: Corpus, corpora: Mapping[str, Corpus], progress: Progress = silent) -> list[str]:
    """Look for audio of a target in the corpora that starting points are trained on, and twice in the target.

    Args:
        target: the target corpus.
        corpora: those that starting points are trained on.
        progress: called after every clip.

    Returns:
        a line about each clip of the target whose audio is in another clip, linked, copied or in another encoding.

    Raises:
        VoicefitError: most clips of a speaker of the target are trained on.
    """
    clips, others = _labelled(target), [clip for corpus in corpora.values() for clip in _labelled(corpus)]
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        progress(f"comparing the audio of {target.name}", done, len(clips) + len(others))

    found = find_same_audio(clips, others, count)
    trained_on = {id(clip): name for name, corpus in corpora.items() for clip in corpus.clips}
    _check_speakers(target, [pair for pair in found if id(pair.other) in trained_on], trained_on)
    return [
        f"{pair} of {trained_on[id(pair.other)]}, which is pre-finetuned on"
        if id(pair.other) in trained_on
        else str(pair)
        for pair in found
    ]


def _check_speakers(target: Corpus, shared: Sequence[SameAudio], trained_on: Mapping[int, str]) -> None:
    clips = Counter(clip.speaker for clip in _labelled(target))
    for speaker, count in Counter(pair.clip.speaker for pair in shared).items():
        if count > _MOST_SHARED * clips[speaker]:
            first = next(pair for pair in shared if pair.clip.speaker == speaker)
            name = trained_on[id(first.other)]
            raise VoicefitError(
                f"targets.{target.name} holds clips of corpora.{name}, which is pre-finetuned on: its speakers would "
                f"not be new ({count} of {clips[speaker]} clips of {speaker}; {first}). Leave them out of one side"
            )


def describe_shared(target: str, lines: Sequence[str]) -> str:
    """Say in a line that clips of a target have the audio of others; empty where none has.

    Args:
        target: its name.
        lines: of :func:`find_shared_audio`.
    """
    if not lines:
        return ""
    clips = "1 clip has" if len(lines) == 1 else f"{len(lines)} clips have"
    return (
        f"{target}: {clips} the audio of another one, the first: {lines[0]}; what is a shot or trained on may so be "
        "tested too"
    )


def _labelled(corpus: Corpus) -> list[Clip]:
    return [clip for clip in corpus.clips if clip.label is not None]
