"""How fast is the model that comes with Voicefit, beside Whisper tiny and wav2vec 2.0 Base, on one core?

All but mini have their real architecture and random weights, which changes no time. Voicefit cuts Whisper to the 5 s
that it hears; its makers pad every clip to 30 s. Clips are predicted ten in a row, as in a folder of them. As they
come, mini has an ONNX graph, which onnxruntime runs, and the others are run by PyTorch.
"""

import math
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from benchmarks.common import (
    ARCHITECTURES,
    alternate,
    build_whisper_tiny,
    parse_options,
    publish,
    seconds_of,
    waveforms,
    write_speakers,
)
from voicefit import adapt
from voicefit.encoders.transformers_encoder import TransformersEncoder
from voicefit.prediction.model import Model

SECONDS, CALLS = 3.0, 10
UNCUT = "Whisper tiny, 30 s"


def main() -> None:
    """Print the table."""
    options = parse_options(__doc__)
    torch.set_num_threads(1)
    rounds = 2 if options.quick else 15
    clip = waveforms(1, seconds=SECONDS)[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shots = _four_clips(folder / "clips")
        starts = {"mini": "mini"} | {each: str(build(folder / each)) for each, build in ARCHITECTURES.items()}
        models: dict[str, Model] = {}
        adapting: dict[str, list[float]] = {name: [] for name in starts}
        for index in range(2 if options.quick else 5):
            for start, source in starts.items():
                out = folder / f"{start}-{index}"
                run = partial(_adapt_into, models, start, source, shots, out)
                adapting[start].append(seconds_of(run))
        millions = {start: _millions(folder / f"{start}-0") for start in starts}
        uncut = build_whisper_tiny(folder / "uncut", 30)
        models[UNCUT], millions[UNCUT] = _whole_model(uncut), _millions(uncut)
        actions = {start: partial(_predict, model, clip) for start, model in models.items()}
        alternate(actions, 2)
        predicting = alternate(actions, rounds)
    publish([_row(start, millions[start], adapting.get(start), predicting) for start in models], options)


def _four_clips(folder: Path) -> Path:
    for label in sorted((write_speakers(folder, 1, 2) / "s0").iterdir())[2:]:
        shutil.rmtree(label)
    return folder / "s0"


def _adapt_into(models: dict[str, Model], name: str, source: str, shots: Path, out: Path) -> None:
    models[name] = adapt(source, shots, out=out).model


def _predict(model: Model, clip: np.ndarray) -> float:
    """Seconds a clip."""
    return seconds_of(lambda: [model.predict(clip) for _ in range(CALLS)]) / CALLS


def _whole_model(source: Path) -> Model:
    model = AutoModelForAudioClassification.from_pretrained(source)
    encoder = TransformersEncoder(model, AutoFeatureExtractor.from_pretrained(source), SECONDS)
    return Model(encoder, encoder.head, encoder.labels)


def _millions(folder: Path) -> float:
    """Numbers among a model's weights."""
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys()) / 1e6  # noqa: SIM118


def _row(
    name: str, millions: float, adapting: list[float] | None, predicting: dict[str, list[float]]
) -> dict[str, Any]:
    of_mini = [other / mine for other, mine in zip(predicting[name], predicting["mini"], strict=True)]
    return {
        "start": name,
        "parameters, million": millions,
        "adapt from 4 clips, s": statistics.median(adapting) if adapting else "",
        f"predict a clip of {SECONDS:g} s, ms": 1000 * statistics.median(predicting[name]),
        "times mini's": statistics.median(of_mini),
    }


if __name__ == "__main__":
    main()
