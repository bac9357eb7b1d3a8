"""How well a model does on labelled clips of a voice."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from voicefit.audio import AudioError, read_recording
from voicefit.checkpoints.record import read_record
from voicefit.corpora import Clip, Corpus, load_clips
from voicefit.corpora.labels import plain
from voicefit.errors import VoicefitError
from voicefit.heads.novelty import NONE
from voicefit.prediction.csv_file import csv_text
from voicefit.prediction.embedding import in_order, reason_of, threads_for, to_tell
from voicefit.prediction.model import Model, Prediction, load_model
from voicefit.prediction.scoring import Answer, Evaluation, scored
from voicefit.prediction.together import predict_together
from voicefit.prediction.voice import heard_digest
from voicefit.system.progress import Progress, silent

_NO_MORE = "a model hears no more of a clip"


def evaluate(
    model: str | Path,
    clips: str | Path,
    *,
    together: bool = False,
    channel: int | None = None,
    reject: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Score a model on labelled clips; those that it was adapted on are left out, by the sound and not by the name.

    Args:
        model: directory or hub id of an adapted model, or of a pre-finetuned checkpoint.
        clips: a folder with a folder of audio files per label, or a table; all of one voice if ``together``.
        together: label the clips together, see :mod:`voicefit.prediction.together`.
        channel: the number of the one channel to take of each recording, from 1.
        reject: the model may answer "none of these", which is right of a clip whose label it does not know.
        progress: called for every clip.

    Raises:
        VoicefitError: the model or the clips cannot be loaded, no clip is left that has a label which the model knows,
            or clips of several speakers are to be labelled together.
    """
    corpus = load_clips(clips, channel=channel)
    if together and len(corpus.speakers) > 1:
        raise VoicefitError(
            f"{clips}: holds clips of {len(corpus.speakers)} speakers; only those of one voice can be labelled "
            "together: give the folder of one, or leave --together out"
        )
    if together and reject:
        raise VoicefitError("--together labels every clip: leave --reject out")
    label_clips = _together if together else partial(_alone, reject=reject)
    predictor, found = label_clips(model, corpus, progress)
    record = read_record(model)
    seen = _seen(record, corpus.clips, predictor)
    answers = [
        _answer(clip, prediction, predictor, adapted_on=clip.id in seen)
        for clip, prediction in zip(corpus.clips, found, strict=True)
    ]
    if all(answer.left_out for answer in answers):
        left_out = [answer.left_out for answer in answers] or list(corpus.account.left_out.values())
        raise VoicefitError(f"{clips}: no clip can be scored ({next(iter(left_out), 'there is none')})")
    return scored(answers, corpus.account.left_out, [*corpus.account.remarks, *_unknown_clips(record)])


def evaluation_csv(found: Evaluation) -> str:
    """A row per clip: its label, the model's answer, the probability of that and of each label, and what is amiss."""
    labels = next(list(answer.prediction.probabilities) for answer in found.answers if not answer.left_out)
    rows = [["clip", "label", "predicted", "confidence", *labels, "left_out", "remark"]]
    for answer in found.answers:
        chances = answer.prediction.probabilities
        numbers = [f"{chances[name]:.6f}" if chances else "" for name in labels]
        confidence = f"{max(chances.values()):.6f}" if chances else ""
        said = answer.prediction.label, confidence, *numbers, answer.left_out, answer.prediction.remark
        rows.append([answer.clip, answer.label, *said])
    return csv_text(rows)


def _answer(clip: Clip, prediction: Prediction, model: Model, *, adapted_on: bool) -> Answer:
    label, reason = _truth(clip, model.labels), prediction.error
    if not reason and adapted_on:
        reason = "the model was adapted on it"
    if label and label not in model.labels and model.novelty:
        label = NONE
    elif not reason and label not in model.labels:
        reason = f"the model does not know the label {label}" if label else "it has no label"
    return Answer(_name(clip), label, prediction, reason)


def _seen(record: dict[str, Any], clips: Sequence[Clip], model: Model) -> set[str]:
    """Return the ids of clips with the sound of one that the model was adapted on."""
    known = record.get("clips") or {}
    if not known:
        return set()
    digest = partial(heard_digest, max_seconds=model.max_seconds)
    digests = in_order(digest, clips, threads_for(model.encoder))
    return {clip.id for clip, found in zip(clips, digests, strict=True) if found in known}


def _unknown_clips(record: dict[str, Any]) -> Iterator[str]:
    if record.get("kind") == "adapted" and not record.get("clips"):
        yield (
            "This model does not say which clips it was adapted on, as models of older versions do not: if they are "
            "among these, the scores are too high."
        )


def _alone(model: str | Path, corpus: Corpus, progress: Progress, *, reject: bool) -> tuple[Model, list[Prediction]]:
    """Label each clip by itself."""
    predictor = load_model(model, reject=reject)

    def predict(clip: Clip) -> Prediction:
        try:
            recording = read_recording(clip.path, clip.start, clip.end, channel=clip.channel)
        except AudioError as error:
            return Prediction(_name(clip), "", {}, f"{error.kind}: {reason_of(error, clip.path)}")
        vector = predictor.encoder.embed(recording.waveform)
        return predictor.judged(vector, _name(clip), to_tell(recording, predictor.max_seconds, _NO_MORE))

    found = []
    for prediction in in_order(predict, corpus.clips, threads_for(predictor.encoder)):
        found.append(prediction)
        progress("predicting", len(found), len(corpus.clips))
    return predictor, found


def _together(model: str | Path, corpus: Corpus, progress: Progress) -> tuple[Model, list[Prediction]]:
    """Label the clips together, which are whole files."""
    if any((clip.start, clip.end, clip.channel) != (0.0, None, corpus.clips[0].channel) for clip in corpus.clips):
        raise VoicefitError(f"{corpus.root}: --together labels whole files, and a row names a part of one")
    predictor, found = predict_together(model, [clip.path for clip in corpus.clips], progress, corpus.clips[0].channel)
    by_file = {prediction.file: prediction for prediction in found}
    return predictor, [by_file[str(clip.path)] for clip in corpus.clips]


def _name(clip: Clip) -> str:
    """The file of a clip or, of a part of a file, the clip's id."""
    return str(clip.path) if (clip.start, clip.end) == (0.0, None) and "#" not in clip.id else clip.id


def _truth(clip: Clip, known: Sequence[str]) -> str:
    """A clip's label; as it was written, if the model knows it by that: of "happy" and "joy", it keeps both apart."""
    written = plain(clip.native_label)
    return written if clip.label not in known and written in known else clip.label or ""
