"""An adapted model and its predictions."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from voicefit.adaptation import Shots, find_method
from voicefit.audio import (
    MAX_FRAMES,
    RECORDING_SUFFIXES,
    SAMPLE_RATE,
    STDIN,
    AudioError,
    decode_waveform,
    find_audio,
    load_waveform,
)
from voicefit.checkpoints import checkpoint
from voicefit.checkpoints.start import open_start
from voicefit.encoders import FrontEnd
from voicefit.encoders.families import lengthen
from voicefit.encoders.load import quiet_transformers
from voicefit.errors import VoicefitError
from voicefit.heads.prior import Prior
from voicefit.system.hub import MINI, Located, locate
from voicefit.system.progress import Progress, silent

MAX_STDIN_BYTES = 2**30
"""The most that is read from standard input."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one clip.

    Attributes:
        file: where the clip came from; empty for a waveform.
        label: the likeliest label; empty if the file could not be used.
        probabilities: label → probability; they add up to 1.
        error: why the file could not be used, else empty.
    """

    file: str
    label: str
    probabilities: dict[str, float]
    error: str = ""


class Model:
    """A classifier that `transformers` loads: a feature extractor and a model with labels.

    Attributes:
        labels: in the order of the logits.
    """

    def __init__(self, model: Any, feature_extractor: Any, max_seconds: float):
        self.model, self.feature_extractor, self.max_seconds = model.eval(), feature_extractor, max_seconds
        self.labels = [model.config.id2label[index] for index in range(model.config.num_labels)]

    def predict(self, clip: str | os.PathLike[str] | np.ndarray) -> Prediction:
        """Classify an audio file or a mono waveform at 16 kHz; longer clips are cut to ``max_seconds``.

        Raises:
            AudioError: the file cannot be used.
        """
        waveform = clip if isinstance(clip, np.ndarray) else load_waveform(clip)
        file = "" if isinstance(clip, np.ndarray) else str(clip)
        return self.named(self.probabilities(waveform), file)

    @torch.no_grad()
    def probabilities(self, waveform: np.ndarray) -> np.ndarray:
        """Probabilities ``(labels,)`` of a mono waveform at 16 kHz; what is beyond ``max_seconds`` is cut.

        One clip at a time: a batch was measured to be no faster on a processor.
        """
        return self._logits(waveform).softmax(-1).numpy()

    def _logits(self, waveform: np.ndarray) -> torch.Tensor:
        cut = lengthen(waveform[: int(self.max_seconds * SAMPLE_RATE)], self.model.config)
        inputs = self.feature_extractor(cut, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        inputs.pop("attention_mask", None)  # one clip alone has no padding
        return self.model(**inputs).logits[0]

    @torch.no_grad()
    def pooled_and_logits(self, waveform: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pooled vector ``(hidden_size,)`` and the logits ``(labels,)`` of a mono waveform at 16 kHz."""
        seen: list[torch.Tensor] = []
        hook = self.model.projector.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            logits = self._logits(waveform)
        finally:
            hook.remove()
        return seen[0].mean(1)[0], logits

    def named(self, probabilities: np.ndarray, file: str = "") -> Prediction:
        """What :meth:`probabilities` returned, as a prediction."""
        chances = [float(chance) for chance in probabilities]
        best = self.labels[int(np.argmax(chances))]
        return Prediction(file, best, dict(zip(self.labels, chances, strict=True)))

    def predict_files(self, paths: Iterable[Path], progress: Progress = silent) -> list[Prediction]:
        """Classify files, the audio files in folders and, for the path ``-``, what comes on standard input.

        A file that cannot be used gets an ``error``.

        Raises:
            VoicefitError: a path does not exist, or there is no audio file at all.
        """
        files = find_audio(paths, stdin=True)
        found = []
        for index, file in enumerate(files, 1):
            try:
                found.append(self.named(self.probabilities(read_recording(file)), str(file)))
            except AudioError as error:
                found.append(Prediction(str(file), "", {}, reason_of(error, file)))
            progress("predicting", index, len(files))
        return found


def read_recording(file: Path) -> np.ndarray:
    """The waveform of a file, or of what comes on standard input for ``-``.

    Raises:
        AudioError: it cannot be used.
    """
    if file != STDIN:
        return load_waveform(file)
    content = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(content) > MAX_STDIN_BYTES:
        raise AudioError("too-long", f"{file}: over {MAX_STDIN_BYTES >> 20} MB on standard input; give a file")
    return decode_waveform(content, str(file), MAX_FRAMES / SAMPLE_RATE)


def _zero_shot_model(located: Located) -> Model:
    start = open_start(located)
    encoder, prior = start.encoder, start.prior
    if prior is None or encoder.front_end.pad_first or not encoder.front_end.resample:
        raise VoicefitError(
            f"{start.source}: is a starting point that cannot tell labels; run `voicefit adapt {start.source} "
            "CLIPS_DIR` first"
        )
    shots = shots_without_clips(prior, torch.empty(0, encoder.hidden_size))
    head = find_method("zero-shot").configured().fit(encoder, shots, seed=0)
    checkpoint.set_head(encoder, head, prior.labels)
    return Model(encoder.model, encoder.feature_extractor, encoder.front_end.max_seconds)


def shots_without_clips(prior: Prior, unlabelled: torch.Tensor) -> Shots:
    """Return shots of all labels of the corpora, without a clip, and pooled vectors ``(clips, hidden_size)``."""
    return Shots(
        unlabelled[:0],
        [],
        torch.empty(0, dtype=torch.long),
        len(prior.labels),
        labels=prior.labels,
        unlabelled=unlabelled,
        prior=prior,
        partial=True,
    )


def reason_of(error: AudioError, file: Path) -> str:
    """What is wrong with ``file``, without its name."""
    return str(error).removeprefix(f"{file}: ")


def split_model(arguments: Sequence[str]) -> tuple[str, list[Path]]:
    """Split a command's arguments into a model and audio; the model is ``mini`` where the first argument is audio.

    Raises:
        VoicefitError: there is a model, and no audio after it.
    """
    first = Path(arguments[0])
    may_be_on_hub = not first.exists() and first != STDIN and first.suffix.lower() not in RECORDING_SUFFIXES
    is_model = (first / "config.json").is_file() or (len(arguments) > 1 and may_be_on_hub)
    if is_model and len(arguments) == 1:
        raise VoicefitError(f"{first}: is a model; give audio files after it")
    model, audio = (arguments[0], arguments[1:]) if is_model else (MINI, arguments)
    return model, [Path(part) for part in audio]


def load_model(path: str | Path | Located) -> Model:
    """Load an adapted model from its directory or from the hub.

    A pre-finetuned checkpoint gives a model that knows no clip of the voice. It classifies its corpora's labels,
    by the method `zero-shot`.

    Raises:
        VoicefitError: there is no model, or it is a starting point that knows no labels.
    """
    located = locate(path)
    record = checkpoint.read_record(located)
    if record.get("kind") == "prefinetuned":
        return _zero_shot_model(located)
    if located.file("config.json") is None:
        raise VoicefitError(
            f"{located.name}: holds no model; give the --out directory of `voicefit adapt`, or a hub id"
        )
    try:
        with quiet_transformers():
            model = AutoModelForAudioClassification.from_pretrained(
                located.weights(), use_safetensors=True, dtype=torch.float32
            )
            extractor = AutoFeatureExtractor.from_pretrained(str(located.folder))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise VoicefitError(f"{located.name}: cannot be loaded as a model ({str(error).splitlines()[0]})") from error
    try:
        front_end = FrontEnd.model_validate(record.get("front_end", {}))
    except ValidationError as error:
        raise VoicefitError(f"{Path(located.name) / checkpoint.RECORD}: front_end is wrong") from error
    return Model(model, extractor, front_end.max_seconds)
