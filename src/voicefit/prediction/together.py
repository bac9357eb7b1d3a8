"""Label the recordings of one voice together: each clip helps to tell what the others are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax

from voicefit.adaptation.joint import fit_mixture, joint_head
from voicefit.audio import AudioError, find_audio
from voicefit.checkpoints import checkpoint
from voicefit.checkpoints.start import read_prior
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.prediction.model import Model, Prediction, load_model, read_recording, reason_of, shots_without_clips
from voicefit.system.hub import locate
from voicefit.system.progress import Progress, silent


def predict_together(
    source: str | Path, paths: Iterable[Path], progress: Progress = silent
) -> tuple[Model, list[Prediction]]:
    """Classify recordings of one voice together, by the mixture of :mod:`voicefit.adaptation.joint`.

    Args:
        source: directory or hub id of an adapted model, or of a pre-finetuned checkpoint, which labels what its corpora
            know.
        paths: files, folders of audio files, or ``-`` for standard input; all of one voice.
        progress: called for every file.

    Returns:
        the model, and a prediction for each file; one that cannot be used gets an ``error``.

    Raises:
        VoicefitError: there is no model or no audio, or the model does not know how emotions differ between voices.
    """
    located = locate(source)
    record = checkpoint.read_record(located)
    model, prior = load_model(located), read_prior(located, record)
    if prior is None:
        raise VoicefitError(
            f"{located.name}: cannot label clips together, since it holds no {checkpoint.PRIOR}; adapt from a "
            "pre-finetuned checkpoint by a method that leaves the encoder as it is, or leave --together out"
        )
    files = list(dict.fromkeys(find_audio(paths, stdin=True)))
    found: list[Prediction] = []
    pooled, logits, used = [], [], []
    for index, file in enumerate(files):
        try:
            vector, own = model.pooled_and_logits(read_recording(file))
            pooled.append(vector)
            logits.append(own)
            used.append(index)
            found.append(Prediction(str(file), "", {}))
        except AudioError as error:
            found.append(Prediction(str(file), "", {}, reason_of(error, file)))
        progress("predicting", index + 1, len(files))
    if used:
        vectors = torch.stack(pooled)
        knows_the_voice = record.get("kind") != "prefinetuned"
        chances = _of_model(prior, vectors, torch.stack(logits)) if knows_the_voice else _of_corpora(prior, vectors)
        for index, row in zip(used, chances, strict=True):
            found[index] = model.named(row, str(files[index]))
    return model, found


def _of_model(prior: Prior, pooled: torch.Tensor, logits: torch.Tensor) -> np.ndarray:
    """Return probabilities ``(clips, labels)`` that begin at what a model says of each clip alone."""
    points, guess = prior.project(pooled), logits.double().numpy()
    mixture = fit_mixture(prior, points, guess, np.ones(guess.shape, dtype=bool), len(points))
    return np.asarray(
        softmax(guess + points[:, : mixture.weights.shape[1]] @ mixture.weights.T + mixture.biases, axis=1)
    )


def _of_corpora(prior: Prior, pooled: torch.Tensor) -> np.ndarray:
    """Return probabilities ``(clips, labels)`` of a voice of which no clip has a label."""
    return joint_head(shots_without_clips(prior, pooled))(pooled).softmax(1).numpy()
