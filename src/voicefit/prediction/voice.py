"""The clips of one voice as methods of adaptation take them: read, embedded, and told what could not be used."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voicefit.adaptation import Shots
from voicefit.audio import SAMPLE_RATE, AudioError, load_waveform
from voicefit.checkpoints.start import Start
from voicefit.corpora import Clip
from voicefit.corpora.recordings import Recordings
from voicefit.errors import VoicefitError
from voicefit.prediction.embedding import Embeds, in_order, reason_of, threads_for
from voicefit.prediction.speech import holds_speech
from voicefit.system.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from voicefit.encoders import Encoder

Answer = TypeVar("Answer")

_HAS_LABEL = "it has the samples of a labelled clip"

_NO_SPEECH = "no-speech: nobody is heard to speak in it; if somebody does, leave --speech out"


@dataclass(frozen=True)
class Embedded:
    """Clips of a voice as the encoder gives them.

    Attributes:
        clips: those that can be used.
        pooled: ``(clips, hidden_size)``.
        frames: the front end's output for each, where a method trains the encoder; else none.
        digests: what tells the samples of each that a model hears from those of others.
        left_out: clip id → why it is not used.
    """

    clips: list[Clip]
    pooled: np.ndarray
    frames: "list[Tensor]"
    digests: list[str]
    left_out: dict[str, str]

    def shots(self, labels: Sequence[str], start: Start, *, partial: bool) -> Shots:
        """Return the clips as methods take them; ``partial`` allows labels without a clip."""
        targets = np.array([labels.index(str(clip.label)) for clip in self.clips], dtype=np.int64)
        return Shots(
            self.pooled, self.frames, targets, len(labels), labels=tuple(labels), prior=start.prior, partial=partial
        )

    def without(self, digests: Collection[str]) -> "Embedded":
        """Return the clips without those that have a label already, by the digests of these."""
        rows = [row for row, digest in enumerate(self.digests) if digest not in digests]
        dropped = {
            clip.id: _HAS_LABEL for clip, digest in zip(self.clips, self.digests, strict=True) if digest in digests
        }
        return replace(
            self,
            clips=[self.clips[row] for row in rows],
            pooled=self.pooled[rows],
            digests=[self.digests[row] for row in rows],
            left_out=self.left_out | dropped,
        )


def embed_clips(encoder: Embeds, clips: Sequence[Clip], progress: Progress, *, speech: bool = False) -> Embedded:
    """Embed clips, for methods that leave the encoder as it is.

    Args:
        encoder: gives their pooled vectors.
        clips: to read.
        progress: called for every clip.
        speech: leave out clips in which nobody speaks (:mod:`voicefit.prediction.speech`).
    """
    usable, vectors, digests, left_out = _read(encoder, encoder.embed, clips, threads_for(encoder), progress, speech)
    pooled = np.array(vectors) if vectors else np.empty((0, encoder.hidden_size), np.float32)
    return Embedded(usable, pooled, [], digests, left_out)


def front_clips(encoder: "Encoder", clips: Sequence[Clip], progress: Progress, *, speech: bool = False) -> Embedded:
    """Embed clips and keep the front end's output, for methods that train the encoder; see :func:`embed_clips`."""
    usable, frames, digests, left_out = _read(encoder, encoder.front, clips, 1, progress, speech)
    pooled = encoder.pool(frames).cpu().numpy() if frames else np.empty((0, encoder.hidden_size), np.float32)
    return Embedded(usable, pooled, frames, digests, left_out)


def embed_recordings(
    encoder: Embeds,
    recordings: Recordings,
    labelled: Sequence[Clip],
    progress: Progress,
    *,
    digests: Collection[str] = (),
    speech: bool = False,
) -> Embedded:
    """Embed recordings, but those that are among the labelled clips.

    Args:
        encoder: gives their pooled vectors.
        recordings: what to embed.
        labelled: the labelled clips; a recording at the place of one is passed over.
        progress: called for every recording.
        digests: of the labelled clips; a recording with the samples of one is left out.
        speech: leave out recordings in which nobody speaks.

    Raises:
        VoicefitError: none is left, or none can be used.
    """
    taken = {_place(clip) for clip in labelled}
    free = [clip for clip in recordings.clips if _place(clip) not in taken]
    found = embed_clips(encoder, free, progress, speech=speech).without(digests) if free else None
    if found is None or (not found.clips and set(found.left_out.values()) == {_HAS_LABEL}):
        raise VoicefitError(f"{recordings.name}: every recording there has a label already")
    if not found.clips:
        raise VoicefitError(f"{recordings.name}: holds no clip that can be used ({first_reason(found.left_out)})")
    return replace(found, left_out=recordings.account.left_out | found.left_out)


def _place(clip: Clip) -> tuple[Path, float, float | None, int | None]:
    return clip.path.resolve(), clip.start, clip.end, clip.channel


def first_reason(left_out: Mapping[str, str]) -> str:
    """Return why the first clip is not used."""
    return next((f"{clip}: {reason}" for clip, reason in left_out.items()), "it is empty")


def _read(
    encoder: Embeds,
    act: Callable[[np.ndarray], Answer],
    clips: Sequence[Clip],
    threads: int,
    progress: Progress,
    speech: bool,
) -> tuple[list[Clip], list[Answer], list[str], dict[str, str]]:
    """Return the clips that can be read, what ``act`` gives for each, their digests, and id → why one is not used."""
    heard = int(encoder.max_seconds * SAMPLE_RATE)

    def read(clip: Clip) -> tuple[Answer | None, str]:
        try:
            waveform = load_waveform(clip.path, clip.start, clip.end, channel=clip.channel)
            if speech and not holds_speech(waveform[:heard]):
                return None, _NO_SPEECH
            return act(waveform), _digest(waveform[:heard])
        except AudioError as error:
            return None, f"{error.kind}: {reason_of(error, clip.path)}"

    usable, answers, digests, left_out = [], [], [], {}
    for index, (answer, words) in enumerate(in_order(read, clips, threads), 1):
        clip = clips[index - 1]
        if answer is None:
            left_out[clip.id] = words
        else:
            usable.append(clip)
            answers.append(answer)
            digests.append(words)
        progress("reading clips", index, len(clips))
    return usable, answers, digests, left_out


def heard_digest(clip: Clip, max_seconds: float) -> str:
    """Return the digest of what a model reads of a clip, as :attr:`Embedded.digests` has it; empty if unreadable."""
    try:
        waveform = load_waveform(clip.path, clip.start, clip.end, channel=clip.channel)
    except AudioError:
        return ""
    return _digest(waveform[: int(max_seconds * SAMPLE_RATE)])


def _digest(waveform: np.ndarray) -> str:
    return hashlib.blake2b(waveform.tobytes(), digest_size=16).hexdigest()
