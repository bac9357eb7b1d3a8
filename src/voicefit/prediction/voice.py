"""The clips of one voice as methods of adaptation take them: read, embedded, and told what could not be used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voicefit.adaptation import Shots
from voicefit.audio import AudioError, find_audio, load_waveform
from voicefit.audio.find import printable
from voicefit.checkpoints.start import Start
from voicefit.corpora import Clip, load_clips
from voicefit.corpora.table import is_table
from voicefit.errors import VoicefitError
from voicefit.prediction.embedding import Embeds, in_order, reason_of, threads_for
from voicefit.system.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from voicefit.encoders import Encoder

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Embedded:
    """Clips of a voice as the encoder gives them.

    Attributes:
        clips: those that can be used.
        pooled: ``(clips, hidden_size)``.
        frames: the front end's output for each, where a method trains the encoder; else none.
        left_out: clip id → why it is not used.
    """

    clips: list[Clip]
    pooled: np.ndarray
    frames: "list[Tensor]"
    left_out: dict[str, str]

    def shots(self, labels: Sequence[str], start: Start, *, partial: bool) -> Shots:
        """Return the clips as methods take them; ``partial`` allows labels without a clip."""
        targets = np.array([labels.index(str(clip.label)) for clip in self.clips], dtype=np.int64)
        return Shots(
            self.pooled, self.frames, targets, len(labels), labels=tuple(labels), prior=start.prior, partial=partial
        )


def embed_clips(encoder: Embeds, clips: Sequence[Clip], progress: Progress) -> Embedded:
    """Embed clips, for methods that leave the encoder as it is; ``progress`` reports every clip."""
    usable, vectors, left_out = _read(encoder.embed, clips, threads_for(encoder), progress)
    pooled = np.array(vectors) if vectors else np.empty((0, encoder.hidden_size), np.float32)
    return Embedded(usable, pooled, [], left_out)


def front_clips(encoder: "Encoder", clips: Sequence[Clip], progress: Progress) -> Embedded:
    """Embed clips and keep the front end's output, for methods that train the encoder."""
    usable, frames, left_out = _read(encoder.front, clips, 1, progress)
    pooled = encoder.pool(frames).cpu().numpy() if frames else np.empty((0, encoder.hidden_size), np.float32)
    return Embedded(usable, pooled, frames, left_out)


def embed_recordings(
    encoder: Embeds, recordings: str | Path, labelled: Sequence[Clip], progress: Progress, channel: int | None = None
) -> Embedded:
    """Embed the recordings of a file, a folder or a table, but those that are among the labelled clips.

    Raises:
        VoicefitError: none is left, or none can be used.
    """
    taken = {_place(clip) for clip in labelled}
    clips = _unlabelled(Path(recordings), channel)
    free = [clip for clip in clips if _place(clip) not in taken]
    if not free:
        raise VoicefitError(f"{recordings}: every recording there has a label already")
    found = embed_clips(encoder, free, progress)
    if not found.clips:
        raise VoicefitError(f"{recordings}: holds no clip that can be used ({first_reason(found.left_out)})")
    return found


def _place(clip: Clip) -> tuple[Path, float, float | None, int | None]:
    return clip.path.resolve(), clip.start, clip.end, clip.channel


def _unlabelled(recordings: Path, channel: int | None) -> list[Clip]:
    """The clips of a file, a folder, or a table, whose labels are not looked at."""
    if recordings.is_file() and is_table(recordings):
        return list(load_clips(recordings, channel=channel).clips)
    return [Clip(printable(path), path, "", None, channel=channel) for path in find_audio([recordings])]


def first_reason(left_out: Mapping[str, str]) -> str:
    """Return why the first clip is not used."""
    return next((f"{clip}: {reason}" for clip, reason in left_out.items()), "it is empty")


def _read(
    act: Callable[[np.ndarray], Answer], clips: Sequence[Clip], threads: int, progress: Progress
) -> tuple[list[Clip], list[Answer], dict[str, str]]:
    """Return the clips that can be read, what ``act`` gives for each waveform, and clip id → why it is not used."""

    def read(clip: Clip) -> tuple[Answer | None, str]:
        try:
            return act(load_waveform(clip.path, clip.start, clip.end, channel=clip.channel)), ""
        except AudioError as error:
            return None, f"{error.kind}: {reason_of(error, clip.path)}"

    usable, answers, left_out = [], [], {}
    for index, (answer, reason) in enumerate(in_order(read, clips, threads), 1):
        clip = clips[index - 1]
        if answer is None:
            left_out[clip.id] = reason
        else:
            usable.append(clip)
            answers.append(answer)
        progress("reading clips", index, len(clips))
    return usable, answers, left_out
