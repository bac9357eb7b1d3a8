"""An adapted model and its predictions."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voicefit.audio import (
    RECORDING_SUFFIXES,
    SAMPLE_RATE,
    STDIN,
    Recording,
    as_waveform,
    find_audio,
    read_recording,
)
from voicefit.checkpoints.adapted import read_head, start_of
from voicefit.checkpoints.record import CONFIG, HEAD, RECORD, WEIGHTS, read_prior, read_record
from voicefit.encoders.onnx_encoder import GRAPH, open_graph
from voicefit.errors import VoicefitError
from voicefit.heads.head import Head
from voicefit.heads.logistic import softmax
from voicefit.heads.novelty import NONE, Novelty
from voicefit.prediction.embedding import Embeds, embed_files, to_tell
from voicefit.system.extras import require
from voicefit.system.hub import MINI, Located, locate, meant
from voicefit.system.progress import Progress, silent

if TYPE_CHECKING:
    from voicefit.checkpoints.start import Start


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one clip.

    Attributes:
        file: where the clip came from; empty for a waveform.
        label: the likeliest label; empty if the file could not be used.
        probabilities: label → probability; they add up to 1.
        error: why the file could not be used, else empty.
        remark: what a person should know of how it was read, as that only a part was; else empty.
        unlike: how far the clip lies from every label, where that is asked for: above 1, it is of none of them and
            ``label`` says so; the probabilities stay those of the labels.
    """

    file: str
    label: str
    probabilities: dict[str, float]
    error: str = ""
    remark: str = ""
    unlike: float | None = None


class Model:
    """A classifier of one voice's clips: an encoder, and a head with labels.

    Attributes:
        encoder: gives each clip's pooled vector, by onnxruntime or by PyTorch.
        head: classifies these vectors.
        labels: in the order of the logits.
        novelty: tells clips that are of none of the labels, where that is asked for.
    """

    def __init__(self, encoder: Embeds, head: Head, labels: Sequence[str], novelty: Novelty | None = None):
        self.encoder, self.head, self.labels, self.novelty = encoder, head, list(labels), novelty

    @property
    def max_seconds(self) -> float:
        """Longer clips are cut to this."""
        return self.encoder.max_seconds

    def predict(self, clip: str | os.PathLike[str] | np.ndarray) -> Prediction:
        """Classify an audio file or a mono waveform at 16 kHz; longer clips are cut to ``max_seconds``.

        Raises:
            AudioError: the file cannot be used.
        """
        if isinstance(clip, np.ndarray):
            recording, file = Recording(as_waveform(clip), SAMPLE_RATE, 1, 0), ""
        else:
            recording, file = read_recording(clip), str(clip)
        vector = self.encoder.embed(recording.waveform)
        return self.judged(vector, file, to_tell(recording, self.max_seconds))

    def probabilities(self, waveform: np.ndarray) -> np.ndarray:
        """Probabilities ``(labels,)`` of a mono waveform at 16 kHz; what is beyond ``max_seconds`` is cut."""
        return softmax(self.head(self.encoder.embed(waveform)[None]))[0]

    def judged(self, vector: np.ndarray, file: str = "", remark: str = "") -> Prediction:
        """What a pooled vector ``(hidden_size,)`` says, "none of these" included where :attr:`novelty` tells it."""
        found = self.named(softmax(self.head(vector[None]))[0], file, remark)
        if self.novelty is None:
            return found
        unlike = float(self.novelty.distance(vector[None])[0])
        return replace(found, label=NONE if unlike > 1 else found.label, unlike=unlike)

    def named(self, probabilities: np.ndarray, file: str = "", remark: str = "") -> Prediction:
        """What :meth:`probabilities` returned, as a prediction."""
        chances = [float(chance) for chance in probabilities]
        best = self.labels[int(np.argmax(chances))]
        return Prediction(file, best, dict(zip(self.labels, chances, strict=True)), remark=remark)

    def predict_files(
        self, paths: Iterable[Path], progress: Progress = silent, channel: int | None = None
    ) -> list[Prediction]:
        """Classify files, the audio files in folders and, for the path ``-``, what comes on standard input.

        A file that cannot be used gets an ``error``. Of several channels, ``channel`` takes one, from 1.

        Raises:
            VoicefitError: a path does not exist, or there is no audio file at all.
        """
        return list(self.iterate_files(find_audio(paths, stdin=True), progress, channel))

    def iterate_files(
        self, files: Sequence[Path], progress: Progress = silent, channel: int | None = None
    ) -> Iterator[Prediction]:
        """Classify files as :meth:`predict_files` does, and yield each answer as soon as it is there, in order."""
        return embed_files(self.encoder, files, self._prediction, progress, channel)

    def _prediction(self, file: Path, vector: np.ndarray | None, error: str, remark: str) -> Prediction:
        if vector is None:
            return Prediction(str(file), "", {}, error)
        return self.judged(vector, str(file), remark)


def _zero_shot_model(located: Located, graph: bool) -> Model:
    from voicefit.checkpoints.start import open_start  # pydantic, which a whole model need not wait for

    return first_guess(open_start(located), graph=graph)


def first_guess(start: "Start", *, graph: bool = True) -> Model:
    """Return the model of a start that knows no clip of the voice; the arguments are as in :func:`load_model`.

    Raises:
        VoicefitError: the start knows no labels, or a model cannot read clips as it does.
    """
    from voicefit.adaptation import find_method  # as above
    from voicefit.adaptation.shots import shots_without_clips

    prior, front_end = start.prior, start.front_end
    if prior is None or front_end.pad_first or not front_end.resample:
        raise VoicefitError(
            f"{start.source}: is a starting point that cannot tell labels; run `voicefit adapt {start.source} "
            "CLIPS_DIR` first"
        )
    shots = shots_without_clips(prior, np.empty((0, len(prior.origin)), np.float32))
    head = find_method("zero-shot").configured().fit(None, shots, seed=0)
    return Model(start.fixed_encoder if graph else start.encoder, head, prior.labels)


def split_model(arguments: Sequence[str]) -> tuple[str, list[Path]]:
    """Split a command's arguments into a model and audio; the model is ``mini`` where the first argument is audio.

    Raises:
        VoicefitError: there is a model, and no audio after it.
    """
    first = Path(arguments[0])
    may_be_on_hub = not first.exists() and first != STDIN and first.suffix.lower() not in RECORDING_SUFFIXES
    is_model = holds_model(first) or (len(arguments) > 1 and may_be_on_hub)
    if is_model and len(arguments) == 1:
        raise VoicefitError(f"{first}: is a model; give audio files after it")
    model, audio = (arguments[0], arguments[1:]) if is_model else (MINI, arguments)
    return model, [Path(part) for part in audio]


def holds_model(folder: Path) -> bool:
    """Report whether a folder is a model's, and not one of recordings."""
    return any((folder / name).is_file() for name in (CONFIG, HEAD))


def load_model(path: str | Path | Located, *, graph: bool = True, reject: bool = False) -> Model:
    """Load an adapted model from its directory or from the hub.

    A pre-finetuned checkpoint gives a model that knows no clip of the voice. It classifies its corpora's labels,
    by the method `zero-shot`.

    Args:
        path: a directory, ``mini`` or a hub id.
        graph: run the encoder's ONNX graph, where there is one; else PyTorch runs it, as it was saved.
        reject: tell clips that are of none of the labels, see :mod:`voicefit.heads.novelty`.

    Raises:
        VoicefitError: there is no model, it is a starting point that knows no labels, or it cannot ``reject``.
    """
    if reject:
        return _rejecting(locate(path), graph)
    located = locate(path)
    record = read_record(located)
    if record.get("kind") == "prefinetuned":
        return _zero_shot_model(located, graph)
    small = located.file(HEAD)
    if small is not None:
        start = start_of(located, record)
        return Model(start.fixed_encoder if graph else start.encoder, read_head(small), record["labels"])
    config = located.file(CONFIG)
    if config is None:
        raise VoicefitError(
            f"{located.name}: holds no model{meant(located.name)}; give the --out directory of `voicefit adapt`, or a "
            "hub id"
        )
    graph_file = located.file(GRAPH)
    if graph and graph_file is not None:
        names = _read_json(config).get("id2label", {})
        labels = [str(names[str(index)]) for index in range(len(names))]
        return Model(open_graph(graph_file), read_head(Path(located.weights()) / WEIGHTS), labels)
    require("train", f"{located.name}: has no {GRAPH} (`voicefit export --format encoder` writes it) and is opened")
    from voicefit.encoders.transformers_encoder import load_transformers_encoder

    whole = load_transformers_encoder(located, _max_seconds(located, record))
    return Model(whole, whole.head, whole.labels)


def _rejecting(located: Located, graph: bool) -> Model:
    record = read_record(located)
    if record.get("kind") != "adapted":
        raise VoicefitError(
            f"{located.name}: knows no clip of the voice, and so not what is unlike it; adapt it first, or leave "
            "--reject out"
        )
    prior = start_of(located, record).prior if located.file(HEAD) else read_prior(located, record)
    if prior is None:
        raise VoicefitError(f"{located.name}: was not adapted from a pre-finetuned checkpoint; leave --reject out")
    model = load_model(located, graph=graph)
    model.novelty = Novelty.of_record(prior, record, located.name)
    return model


def _max_seconds(located: Located, record: dict[str, Any]) -> float:
    from voicefit.encoders.front_end import FrontEnd

    try:
        return FrontEnd.model_validate(record.get("front_end", {})).max_seconds
    except ValueError as error:
        raise VoicefitError(f"{Path(located.name) / RECORD}: front_end is wrong") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise VoicefitError(f"{path}: is not readable as JSON ({error})") from error
