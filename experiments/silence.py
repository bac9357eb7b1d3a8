"""What is a mean over speech worth in an encoder, and one over silence?

Logistic regression within a nEMO speaker, eight clips an emotion, twelve tested, on frames of `mini` and of Whisper
tiny.en after two layers: averaged over the clip, over the louder and the quieter half of its frames, over the quietest
twentieth, and over two seconds of digital silence after it, without the clip's own frames.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from experiments.room import TEST, TRAIN, scores
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, Reading, load_encoder

SAMPLES_PER_FRAME = SAMPLE_RATE // 50
SILENCE = np.zeros(2 * SAMPLE_RATE, dtype=np.float32)
MOST = 3 * SAMPLE_RATE
"""Clips are cut to so many samples, so that silence after them has room in the window."""


@torch.no_grad()
def frames_of(encoder: Encoder, waveform: np.ndarray) -> np.ndarray:
    """What the encoder makes of a clip before it takes the mean, ``(frames, size)``."""
    entered = encoder._entry(torch.as_tensor(encoder.front(waveform))[None], None)
    return encoder._exit(encoder._run_layers(entered, None, 0, encoder.depth))[0].double().numpy()


def means(encoder: Encoder, waveform: np.ndarray) -> dict[str, np.ndarray]:
    """Means over parts of a clip, and over silence after it."""
    waveform = waveform[:MOST]
    output, longer = frames_of(encoder, waveform), frames_of(encoder, np.concatenate([waveform, SILENCE]))
    centres = encoder.first_centre + SAMPLES_PER_FRAME * np.arange(len(longer))
    spoken = min(len(output), int((centres < len(waveform) - SAMPLES_PER_FRAME).sum()))
    starts = np.maximum(0, centres[:spoken] - SAMPLES_PER_FRAME / 2).astype(int)
    levels = np.array([(waveform[start : start + SAMPLES_PER_FRAME] ** 2).mean() for start in starts])
    within = output[:spoken]
    return {
        "clip": within.mean(0),
        "louder half": within[levels >= np.median(levels)].mean(0),
        "quieter half": within[levels < np.median(levels)].mean(0),
        "quietest twentieth": within[levels <= np.quantile(levels, 0.05)].mean(0),
        "silence after it": longer[centres > len(waveform) + 0.2 * SAMPLE_RATE].mean(0),
    }


def of_speaker(encoder: Encoder, clips: Sequence[Clip]) -> Iterator[dict[str, Any]]:
    """A row per part."""
    names = sorted({str(clip.label) for clip in clips})
    labels = np.array([names.index(str(clip.label)) for clip in clips])
    found = [means(encoder, load_waveform(clip.path, clip.start, clip.end)) for clip in clips]
    for part in found[0]:
        points = np.array([one[part] for one in found])
        yield {"mean over": part, "macro_f1": float(np.mean(list(scores(points, labels))))}


def main() -> None:
    """A row per part, a column per encoder: macro F1, mean over speakers."""
    options = parse_options(__doc__)
    encoders = {
        "mini": load_encoder("mini", Reading()),
        "Whisper tiny.en, layer 2": load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2)),
    }
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / FOLDERS["nemo"])
    rows: list[dict[str, Any]] = []
    for speaker in corpus.speakers[: 1 if options.quick else None]:
        own = [clip for clip in corpus.clips if clip.speaker == speaker]
        by_label = [
            [clip for clip in own if clip.label == label] for label in sorted({str(clip.label) for clip in own})
        ]
        some = [clip for clips in by_label for clip in clips[: TRAIN + TEST]]
        for name, encoder in encoders.items():
            rows += [{"encoder": name, **row} for row in of_speaker(encoder, some)]
    found = pd.DataFrame(rows).groupby(["mean over", "encoder"], sort=False)["macro_f1"].mean().unstack(sort=False)
    table = [{"mean over": str(part)} | {str(name): f"{value:.3f}" for name, value in row.items()}
             for part, row in found.iterrows()]  # fmt: skip
    publish(table, options, ["Macro F1, mean over speakers; chance 0.17. Clips are cut to three seconds."])


if __name__ == "__main__":
    main()
