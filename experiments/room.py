"""Is it the voice that scores, or the room and the recording? nEMO's clips changed on purpose, then scored again.

Logistic regression within a speaker, eight clips an emotion, on Whisper tiny.en's frames averaged over the speech, over
the padding after it, or over the whole window of five seconds. Clips are levelled, cut to the same length, drowned in
noise, or reduced to numbers that know nothing of emotion.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.scores import score

TRAIN, TEST, DRAWS = 8, 12, 3
LAYERS = (0, 1, 2)
SAMPLES_PER_FRAME = SAMPLE_RATE // 50

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def as_it_is(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The clip itself."""
    return waveform


def levelled(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """At a root mean square of 0.05."""
    return 0.05 * waveform / max(float(np.sqrt(np.mean(waveform**2))), 1e-9)


def middle(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The middle second and a half, levelled: the same length for all."""
    samples = int(1.5 * SAMPLE_RATE)
    spare = max(0, len(waveform) - samples) // 2
    return levelled(waveform[spare : spare + samples], generator)


def in_noise(decibels: float) -> Change:
    """Levelled, with white noise so far below the speech through the whole window."""

    def change(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        window = np.zeros(5 * SAMPLE_RATE)
        speech = levelled(waveform, generator)[: len(window)]
        window[: len(speech)] = speech
        return window + generator.normal(scale=0.05 * 10 ** (-decibels / 20), size=len(window))

    return change


CHANGES: dict[str, Change] = {
    "as it is": as_it_is,
    "levelled": levelled,
    "middle 1.5 s, levelled": middle,
    "levelled, noise 20 dB below": in_noise(20),
    "levelled, noise 10 dB below": in_noise(10),
}


@torch.no_grad()
def vectors(encoder: Encoder, waveform: np.ndarray, speech_samples: int) -> dict[str, np.ndarray]:
    """Means over speech, padding and window, of each layer."""
    frames = encoder.front(waveform.astype(np.float32))[None]
    hidden = encoder._entry(frames, None)
    last = min(hidden.shape[1] - 1, -(-speech_samples // SAMPLES_PER_FRAME))
    found = {}
    for before, layer in zip((0, *LAYERS[:-1]), LAYERS, strict=True):
        hidden = encoder._run_layers(hidden, None, before, layer)
        output = encoder._exit(hidden)[0].double().numpy()
        found |= {f"{layer} speech": output[:last].mean(0), f"{layer} padding": output[last:].mean(0)}
        found[f"{layer} window"] = output.mean(0)
    return found


def without_emotion(waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers that know nothing of emotion: length, level, and the level of the quietest twentieth."""
    frames = waveform[: len(waveform) // 320 * 320].reshape(-1, 320)
    levels = 10 * np.log10((frames**2).mean(1) + 1e-10)
    level, quiet = 10 * np.log10((waveform**2).mean() + 1e-10), np.quantile(levels, 0.05)
    length = len(waveform) / SAMPLE_RATE
    return {
        "length": np.array([length]),
        "level and quietest": np.array([level, quiet]),
        "both": np.array([length, level, quiet]),
    }


def scores(points: np.ndarray, labels: np.ndarray) -> Iterator[float]:
    """Macro F1 on other clips of the speaker, a value per draw."""
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(labels))
        by_label = [order[labels[order] == label] for label in np.unique(labels)]
        train = np.concatenate([rows[:TRAIN] for rows in by_label])
        test = np.concatenate([rows[TRAIN : TRAIN + TEST] for rows in by_label])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        model.fit(points[train], labels[train])
        yield score(labels[test].tolist(), model.predict(points[test]).tolist())["macro_f1"]


def of_speaker(encoder: Encoder, clips: Sequence[Clip]) -> Iterator[dict[str, Any]]:
    """A row per change and vector."""
    names = sorted({str(clip.label) for clip in clips})
    labels = np.array([names.index(str(clip.label)) for clip in clips])
    waveforms = [load_waveform(clip.path, clip.start, clip.end) for clip in clips]
    tables: dict[tuple[str, str], list[np.ndarray]] = {}
    for index, waveform in enumerate(waveforms):
        for name, values in without_emotion(waveform).items():
            tables.setdefault(("no speech at all", name), []).append(values)
        for change, apply in CHANGES.items():
            changed = apply(waveform, np.random.default_rng(index))
            spoken = min(len(changed), len(waveform))
            for name, values in vectors(encoder, changed, spoken).items():
                tables.setdefault((change, name), []).append(values)
    for (change, name), rows in tables.items():
        yield {"clips": change, "mean over": name, "macro_f1": float(np.mean(list(scores(np.array(rows), labels))))}


def main() -> None:
    """A row per change, a column per layer and stretch: macro F1, mean over speakers."""
    options = parse_options(__doc__)
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading())
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / FOLDERS["nemo"])
    rows: list[dict[str, Any]] = []
    for speaker in corpus.speakers[: 1 if options.quick else None]:
        own = [clip for clip in corpus.clips if clip.speaker == speaker]
        some = [
            clip
            for label in sorted({str(clip.label) for clip in own})
            for clip in [clip for clip in own if clip.label == label][: TRAIN + TEST]
        ]
        rows += [{"speaker": speaker, **row} for row in of_speaker(encoder, some)]
    means = pd.DataFrame(rows).groupby(["clips", "mean over"], sort=False)["macro_f1"].mean()
    table: dict[str, dict[str, str]] = {}
    for (change, name), value in means.items():
        table.setdefault(change, {"clips": change})[name] = f"{value:.3f}"
    publish(list(table.values()), options, ["Columns: layer, and what its frames are averaged over."])


if __name__ == "__main__":
    main()
