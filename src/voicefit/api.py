"""The calls that a notebook needs: strings and paths in, models and predictions out."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from voicefit import checkpoint
from voicefit.adaptation import Shots, find_method
from voicefit.audio import AUDIO_SUFFIXES, SAMPLE_RATE, AudioError, load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, FrontEnd, load_encoder
from voicefit.encoders.load import quiet_transformers
from voicefit.errors import VoicefitError
from voicefit.files import require_absent
from voicefit.heads import Head
from voicefit.machine import devices
from voicefit.prefinetune import prefinetune as _prefinetune
from voicefit.protocols import PrefinetuneSettings
from voicefit.trainer import Progress


def _silent(what: str, done: int, total: int) -> None:
    pass


def prefinetune(
    encoder: str | Path,
    corpora: Mapping[str, str | Path],
    out: str | Path,
    *,
    protocol: str = "clean",
    depth: int | None = None,
    frozen_layers: int = 0,
    settings: PrefinetuneSettings | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: Progress = _silent,
) -> Path:
    """Pre-finetune an encoder on corpora and write a checkpoint; see :func:`voicefit.prefinetune.prefinetune`.

    Args:
        encoder: hub id or directory of a pretrained encoder.
        corpora: name → path; a name that the registry knows stands for that layout.
        out: the checkpoint directory to write.
        depth: transformer layers to keep; all of them if left out.
        frozen_layers: how many of them stay as they are.

    Raises:
        VoicefitError: whatever is wrong with the encoder, a corpus or ``out``.
    """
    require_absent(Path(out))
    loaded = [load_corpus(name, path) for name, path in corpora.items()]
    return _prefinetune(
        load_encoder(encoder, depth=depth, frozen_layers=frozen_layers).to(devices()[0]),
        loaded,
        Path(out),
        source=str(encoder),
        protocol=protocol,
        settings=settings,
        seed=seed,
        resume=resume,
        progress=progress,
    )


@dataclass(frozen=True)
class Prediction:
    """What a model says of one clip.

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

    @torch.no_grad()
    def predict(self, clip: str | os.PathLike[str] | np.ndarray) -> Prediction:
        """Classify an audio file or a mono waveform at 16 kHz; longer clips are cut to ``max_seconds``.

        Raises:
            AudioError: the file cannot be used.
        """
        waveform = clip if isinstance(clip, np.ndarray) else load_waveform(clip)
        inputs = self.feature_extractor(
            waveform[: int(self.max_seconds * SAMPLE_RATE)], sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        inputs.pop("attention_mask", None)  # one clip alone has no padding
        probabilities = self.model(**inputs).logits.softmax(-1)[0].tolist()
        best = int(np.argmax(probabilities))
        file = "" if isinstance(clip, np.ndarray) else str(clip)
        return Prediction(file, self.labels[best], dict(zip(self.labels, probabilities, strict=True)))

    def predict_files(self, paths: Iterable[Path], progress: Progress = _silent) -> list[Prediction]:
        """Classify files and the audio files in folders; one that cannot be used gets an ``error``.

        Raises:
            VoicefitError: a path does not exist, or there is no audio file at all.
        """
        files = _audio_files(paths)
        found = []
        for index, file in enumerate(files, 1):
            try:
                found.append(self.predict(file))
            except AudioError as error:
                found.append(Prediction(str(file), "", {}, str(error).removeprefix(f"{file}: ")))
            progress("predicting", index, len(files))
        return found


def _audio_files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES and p.is_file())
        elif path.exists():
            files.append(path)
        else:
            raise VoicefitError(f"{path}: no such file or folder")
    if not files:
        raise VoicefitError(f"{', '.join(map(str, paths))}: no audio file here")
    return files


def load_model(path: str | Path) -> Model:
    """Load an adapted model from its directory.

    Raises:
        VoicefitError: there is no model, or it has not been adapted to a voice yet.
    """
    record = checkpoint.read_record(path)
    if record.get("kind") == "prefinetuned":
        raise VoicefitError(
            f"{path}: is a starting point, not yet a model; run `voicefit adapt {path} CLIPS_DIR` first"
        )
    if not (Path(path) / "config.json").is_file():
        raise VoicefitError(f"{path}: holds no model; give the --out directory of `voicefit adapt`")
    try:
        with quiet_transformers():
            model = AutoModelForAudioClassification.from_pretrained(
                str(path), use_safetensors=True, dtype=torch.float32
            )
            extractor = AutoFeatureExtractor.from_pretrained(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise VoicefitError(f"{path}: cannot be loaded as a model ({str(error).splitlines()[0]})") from error
    try:
        front_end = FrontEnd.model_validate(record.get("front_end", {}))
    except ValidationError as error:
        raise VoicefitError(f"{Path(path) / checkpoint.RECORD}: front_end is wrong") from error
    return Model(model, extractor, front_end.max_seconds)


@dataclass(frozen=True)
class Adapted:
    """An adapted model and what it was made of.

    Attributes:
        model: ready to predict.
        method: the method that made it.
        shots: label → number of clips used.
        left_out: clip id → why it was not used.
    """

    model: Model
    method: str
    shots: dict[str, int]
    left_out: dict[str, str]


def adapt(
    start: str | Path,
    clips: str | Path,
    *,
    out: str | Path,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    unlabelled: str | Path | None = None,
    seed: int = 0,
    progress: Progress = _silent,
) -> Adapted:
    """Fit a model to one voice and write it to ``out``, a `transformers` directory.

    Args:
        start: pre-finetuned checkpoint, or a plain encoder's directory or hub id.
        clips: a folder with a folder of audio files per label.
        method: ``prior``, ``head``, ``prototype`` or ``full``; left out, ``prior`` from a pre-finetuned checkpoint and
            ``head`` from a plain encoder.
        settings: what differs from the method's default settings.
        unlabelled: a file or folder with more clips of the voice, whatever they say and how, for ``prior`` alone.
        seed: fixes what the method draws at random.

    Raises:
        VoicefitError: ``out`` exists, the start cannot be loaded, fewer than two labels have a usable clip, or the
            method or a setting of it is unknown.
    """
    require_absent(Path(out))
    prior = checkpoint.read_prior(start)
    method = method or ("prior" if prior else "head")
    chosen = find_method(method)
    if chosen.NEEDS_VALIDATION:
        raise VoicefitError(f"method {method} needs clips to validate on besides the shots; take another")
    if unlabelled is not None and not chosen.NEEDS_PRIOR:
        raise VoicefitError(f"method {method} learns nothing from unlabelled clips; method prior does")
    try:
        method_settings = chosen.Settings(**(settings or {}))
    except ValidationError as error:
        fault = error.errors()[0]
        raise VoicefitError(f"settings of {method}: {fault['loc'][0]}: {fault['msg']}") from error
    corpus = load_corpus("folder", clips)
    encoder = checkpoint.load_start(start).to(devices()[0])
    if encoder.front_end.pad_first or not encoder.front_end.resample:
        raise VoicefitError(
            f"{start}: was pre-finetuned with quirks of the published code (pad_first, resample) that a saved model "
            "cannot repeat; pre-finetune without them"
        )
    usable, frames, left_out = _read_clips(encoder, corpus.clips, progress)
    labels = sorted({str(clip.label) for clip in usable})
    if len(labels) < 2:
        raise VoicefitError(f"{clips}: {len(labels)} label has clips that can be used; at least two are needed")
    targets = torch.tensor([labels.index(str(clip.label)) for clip in usable], device=encoder.device)
    shots = Shots(encoder.pool(frames), frames, targets, len(labels), labels=tuple(labels), prior=prior)
    if unlabelled is not None:
        more = [Clip(str(path), path, "", None) for path in _audio_files([Path(unlabelled)])]
        _, more_frames, more_left_out = _read_clips(encoder, more, progress)
        if not more_frames:
            raise VoicefitError(f"{unlabelled}: holds no clip that can be used")
        shots, left_out = replace(shots, unlabelled=encoder.pool(more_frames)), left_out | more_left_out
    progress(f"adapting ({method})", 0, 1)
    head: Head = chosen.fit(encoder, shots, method_settings, seed)
    progress(f"adapting ({method})", 1, 1)
    counts = dict(sorted(Counter(str(clip.label) for clip in usable).items()))
    origin = checkpoint.read_record(start)
    record = {
        "source": str(start),
        "method": method,
        "seed": seed,
        "front_end": encoder.front_end.model_dump(),
        "shots": counts,
        "unlabelled": len(shots.unlabelled),
        "left_out": left_out,
        "corpora": origin.get("corpora", []),
    }
    checkpoint.save_adapted(encoder, head, labels, Path(out), record)
    return Adapted(load_model(out), method, counts, left_out)


def _read_clips(
    encoder: Encoder, clips: Sequence[Clip], progress: Progress
) -> tuple[list[Clip], list[torch.Tensor], dict[str, str]]:
    usable, frames, left_out = [], [], {}
    for index, clip in enumerate(clips, 1):
        try:
            frames.append(encoder.front(load_waveform(clip.path, clip.start, clip.end)))
            usable.append(clip)
        except AudioError as error:
            left_out[clip.id] = f"{error.kind}: {error}"
        progress("reading clips", index, len(clips))
    return usable, frames, left_out
