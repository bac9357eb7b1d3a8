"""Label the recordings of one voice together: each clip helps to tell what the others are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from voicefit.adaptation.joint import fit_mixtures, joint_head, temperature
from voicefit.adaptation.shots import shots_without_clips
from voicefit.audio import find_audio
from voicefit.checkpoints.adapted import start_of
from voicefit.checkpoints.record import HEAD, PRIOR, read_prior, read_record
from voicefit.errors import VoicefitError
from voicefit.heads.logistic import softmax
from voicefit.heads.prior import Prior
from voicefit.prediction.embedding import embed_files
from voicefit.prediction.model import Model, Prediction, load_model
from voicefit.system.hub import locate
from voicefit.system.progress import Progress, silent


def predict_together(
    source: str | Path, paths: Iterable[Path], progress: Progress = silent, channel: int | None = None
) -> tuple[Model, list[Prediction]]:
    """Classify recordings of one voice together, by the mixture of :mod:`voicefit.adaptation.joint`.

    Args:
        source: directory or hub id of an adapted model, or of a pre-finetuned checkpoint, which labels what its corpora
            know.
        paths: files, folders of audio files, or ``-`` for standard input; all of one voice.
        progress: called for every file.
        channel: the number of the one channel to take of each recording, from 1.

    Returns:
        the model, and a prediction for each file; one that cannot be used gets an ``error``.

    Raises:
        VoicefitError: there is no model or no audio, or the model does not know how emotions differ between voices.
    """
    located = locate(source)
    record = read_record(located)
    model = load_model(located)
    prior = start_of(located, record).prior if located.file(HEAD) else read_prior(located, record)
    if prior is None:
        raise VoicefitError(
            f"{located.name}: cannot label clips together, since it holds no {PRIOR}; adapt from a "
            "pre-finetuned checkpoint by a method that leaves the encoder as it is, or leave --together out"
        )
    files = list(dict.fromkeys(find_audio(paths, stdin=True)))
    read = list(
        embed_files(model.encoder, files, lambda file, vector, error, words: (vector, error, words), progress, channel)
    )
    vectors = np.array([vector for vector, *_ in read if vector is not None])
    chances: Iterable[np.ndarray] = ()
    if len(vectors):
        knows_the_voice = record.get("kind") != "prefinetuned"
        sure = record.get("temperature", 1.0) * model.head(vectors)  # the mixture begins at undivided logits
        shots = sum(record.get("shots", {}).values()) / len(model.labels)
        chances = _of_model(prior, vectors, sure, shots) if knows_the_voice else _of_corpora(prior, vectors)
    rows = iter(chances)
    return model, [
        Prediction(str(file), "", {}, error) if vector is None else model.named(next(rows), str(file), words)
        for file, (vector, error, words) in zip(files, read, strict=True)
    ]


def _of_model(prior: Prior, pooled: np.ndarray, logits: np.ndarray, shots: float) -> np.ndarray:
    """Return probabilities ``(clips, labels)`` that begin at what a model of so many shots a label says of each."""
    points, guess = prior.project(pooled), logits.astype(np.float64)
    allowed, labels = np.ones((1, *guess.shape), dtype=bool), np.array([guess.shape[1]])
    mixture = fit_mixtures(prior, points[None], guess[None], allowed, len(points), labels)
    (weights,), (biases,) = mixture.weights, mixture.biases
    found = guess + points[:, : weights.shape[1]] @ weights.T + biases
    return softmax(found / temperature(shots, len(points), guess.shape[1]))


def _of_corpora(prior: Prior, pooled: np.ndarray) -> np.ndarray:
    """Return probabilities ``(clips, labels)`` of a voice of which no clip has a label."""
    found = joint_head(shots_without_clips(prior, pooled))(pooled)
    return softmax(found / temperature(0, len(pooled), len(prior.labels)))
