"""Which recordings of a voice to label next."""

from dataclasses import dataclass, replace
from pathlib import Path

from voicefit.adaptation.shots import OTHER
from voicefit.adaptation.suggestion import suggest as choose_recordings
from voicefit.corpora.recordings import load_recordings
from voicefit.enrolment.beginning import open_repeatable
from voicefit.enrolment.clips import labels_and_clips
from voicefit.errors import VoicefitError
from voicefit.prediction.voice import embed_clips, embed_recordings
from voicefit.system.hub import MINI
from voicefit.system.progress import Progress, silent


@dataclass(frozen=True)
class Suggestion:
    """A recording whose label would help.

    Attributes:
        file: the recording.
        label: the likeliest label so far.
        probability: of that label, 0 … 1.
    """

    file: str
    label: str
    probability: float


def suggest(
    recordings: str | Path,
    *,
    start: str | Path = MINI,
    labelled: str | Path | None = None,
    count: int = 5,
    channel: int | None = None,
    progress: Progress = silent,
) -> tuple[list[Suggestion], dict[str, str]]:
    """Name the recordings of a voice whose labels would help most, see :mod:`voicefit.adaptation.suggestion`.

    Args:
        recordings: a file, folder or table with clips of one voice.
        start: directory or hub id of a pre-finetuned checkpoint.
        labelled: a folder with a folder per label, which holds the clips that have it; an empty one names a label that
            no clip has yet. Left out, the labels are those of the start's corpora.
        count: how many recordings to name.
        channel: the number of the one channel to take of each recording, from 1; left out, all are mixed.
        progress: reports every clip.

    Returns:
        the recordings, the most useful first; and clip → why it was not used, or label → why it cannot be found.

    Raises:
        VoicefitError: the start knows no labels, there are fewer than two labels, or no recording can be used.
    """
    begin = open_repeatable(start)
    if begin.prior is None:
        raise VoicefitError(f"{start}: is a plain encoder, which knows no labels; give a pre-finetuned checkpoint")
    known = list(begin.prior.labels)
    labels, clips, more = (known, [], {}) if labelled is None else labels_and_clips(labelled, channel)
    encoder = begin.fixed_encoder
    voice = embed_clips(encoder, clips, progress)
    found = embed_recordings(encoder, load_recordings(recordings, channel), clips, progress)
    shots = replace(voice.shots(labels, begin, partial=True), unlabelled=found.pooled)
    rows, chances = choose_recordings(shots, count)
    best = chances.argmax(axis=1)
    chosen = [Suggestion(found.clips[row].id, labels[best[row]], float(chances[row, best[row]])) for row in rows]
    guessed = {
        label: "no clip has this label and no corpus of the start knows it; label one to have more of it found"
        for label in sorted(set(labels) - {OTHER, *begin.prior.labels} - {str(clip.label) for clip in voice.clips})
    }
    return chosen, more | voice.left_out | found.left_out | guessed
