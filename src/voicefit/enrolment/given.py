"""What a person gives of a voice, read: the labelled clips, and the recordings without labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from voicefit.adaptation import ConfiguredMethod
from voicefit.checkpoints.start import Start
from voicefit.checkpoints.support import Support
from voicefit.corpora import Clip, Corpus
from voicefit.corpora.advice import advice
from voicefit.corpora.check import check_corpus
from voicefit.corpora.recordings import Recordings, load_recordings
from voicefit.enrolment.beginning import on_first_device
from voicefit.enrolment.clips import named_labels
from voicefit.enrolment.request import Request
from voicefit.errors import VoicefitError
from voicefit.prediction.voice import embed_clips, embed_recordings, first_reason, front_clips

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Given:
    """Labelled clips, read.

    Attributes:
        support: the clips as the encoder gives them; none of the recordings without labels.
        frames: the front end's output for each clip, where the method trains the encoder.
        clips: all that were given, those that cannot be used included.
        left_out: clip id → why it is not used.
        advice: clip id → what is odd about a clip that is used.
        remarks: what else is not as one would expect, a sentence each.
    """

    support: Support
    frames: "Sequence[Tensor]" = ()
    clips: Sequence[Clip] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    advice: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def encoder_for(method: ConfiguredMethod[Any], begin: Start) -> Any:
    """Return the start's encoder as a method needs it."""
    return on_first_device(begin) if method.method.trains_encoder else begin.fixed_encoder


def read_given(begin: Start, encoder: Any, corpus: Corpus, request: Request, *, trains: bool) -> Given:
    """Read the labelled clips of a voice.

    Raises:
        VoicefitError: none can be used.
    """
    heard, progress = begin.front_end.max_seconds, request.progress
    report = check_corpus(corpus, lambda done, total: progress("checking clips", done, total), heard)
    read = partial(front_clips if trains else embed_clips, encoder, speech=request.speech)
    voice = read(corpus.clips, progress)
    if not voice.clips:
        raise VoicefitError(f"{request.clips}: holds no clip that can be used ({first_reason(voice.left_out)})")
    support = Support(
        tuple(clip.id for clip in voice.clips),
        tuple(str(clip.label) for clip in voice.clips),
        tuple(voice.digests),
        voice.pooled,
        (),
        np.empty((0, 0), np.float32),
        tuple(sorted(named_labels(corpus))),
    )
    return Given(
        support,
        voice.frames,
        corpus.clips,
        corpus.account.left_out | voice.left_out,
        advice(report, heard),
        tuple(corpus.account.remarks),
    )


def add_recordings(support: Support, encoder: Any, given: Given, request: Request) -> tuple[Support, Given]:
    """Return the support with the recordings that the request names, and what was given with what is told of these.

    Raises:
        VoicefitError: none of them can be used, or all have a label already.
    """
    more = request.unlabelled
    if more is None:
        return support, given
    more = more if isinstance(more, Recordings) else load_recordings(more, request.channel)
    found = embed_recordings(
        encoder, more, given.clips, request.progress, digests=set(support.digests), speech=request.speech
    )
    support = support.without_unlabelled(found.digests).with_unlabelled(found.digests, found.pooled)
    told = replace(given, left_out=given.left_out | found.left_out, remarks=(*given.remarks, *more.account.remarks))
    return support, told
