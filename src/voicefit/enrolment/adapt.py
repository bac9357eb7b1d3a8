"""Adapting to one voice."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voicefit.checkpoints.start import Start
from voicefit.corpora import Corpus
from voicefit.enrolment.beginning import open_repeatable
from voicefit.enrolment.clips import load_voice
from voicefit.enrolment.fitting import Adapted, Task, fit, model_labels
from voicefit.enrolment.given import add_recordings, encoder_for, read_given
from voicefit.enrolment.request import Request
from voicefit.system.progress import Progress, silent


def adapt(
    start: str | Path,
    clips: str | Path,
    *,
    out: str | Path,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    unlabelled: str | Path | None = None,
    channel: int | None = None,
    speech: bool = False,
    small: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Adapted:
    """Fit a model to one voice and write it to ``out``, a `transformers` directory.

    Args:
        start: directory or hub id of a pre-finetuned checkpoint or a plain encoder.
        clips: a folder with a folder of audio files per label, or a table.
        out: the directory to write.
        method: any of :data:`voicefit.adaptation.METHODS` but ``published``; left out, ``prior`` from a pre-finetuned
            checkpoint, ``joint`` if there are unlabelled clips as well, and ``head`` from a plain encoder.
        settings: what differs from the method's default settings.
        unlabelled: a file, folder or table with more clips of the voice, for ``joint``, ``prior`` and ``zero-shot``.
        channel: the number of the one channel to take of each recording, from 1; left out, all are mixed.
        speech: leave out clips in which nobody speaks, and name them; needs the extra ``speech``.
        small: write kilobytes: the head alone, and the name and digest of its encoder, which stays where it is.
        seed: fixes what the method draws at random.
        overwrite: take the place of an adapted model at ``out``; anything else there stays and is an error.
        progress: reports every clip.

    Raises:
        VoicefitError: ``out`` exists, the start cannot be loaded, ``clips`` are of several speakers, fewer than two
            labels have a usable clip, or the method or a setting of it is unknown.
    """
    request = Request(
        clips,
        Path(out),
        method=method,
        settings=settings or {},
        unlabelled=None if unlabelled is None else Path(unlabelled),
        channel=channel,
        speech=speech,
        small=small,
        seed=seed,
        overwrite=overwrite,
        progress=progress,
    )
    request.check()
    corpus = load_voice(clips, channel)
    return adapt_to(open_repeatable(start), corpus, request)


def adapt_to(begin: Start, corpus: Corpus, request: Request) -> Adapted:
    """Fit a model to the clips of one voice; the arguments were checked."""
    method = request.chosen(begin)
    task = Task(begin, method, encoder_for(method, begin), request)
    given = read_given(begin, task.encoder, corpus, request, trains=task.trains)
    labels = model_labels(task, given.support, given.left_out)
    support, given = add_recordings(given.support, task.encoder, given, request)
    return fit(task, labels, support, given)
