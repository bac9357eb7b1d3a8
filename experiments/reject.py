"""Is a clip none of a voice's labels? Noise, music, labels left out and other voices, by scores of linear algebra.

A voice is adapted with five clips a label by the method `prior`. Each score says how unlike its labels a clip is; it
rejects beyond the threshold at which the voices of the *other* corpora lose 5 of 100 clips (mean over these corpora).
VOICEFIT_NOISE names a folder with a folder per kind of sound, of recordings without speech. Here they are of
Debian packages: `noise` of blanket 0.7.0, `machines` (`sounds` of searchandrescue-data), `music` (fillets-ng-data,
asc-music, the three long ones of frozen-bubble-data, and searchandrescue-data) and `effects`: sound-theme-freedesktop
but for its spoken channels, and ball, goal, grow, jump, shrink, success, tick and tock of neverball-common.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import butter, fftconvolve, sosfilt

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation import Shots
from voicefit.adaptation.prior import Settings, posterior_head
from voicefit.audio import SAMPLE_RATE, AudioError, find_audio, load_waveform
from voicefit.checkpoints.start import open_start
from voicefit.corpora import load_corpus
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.heads.head import Head
from voicefit.heads.logistic import softmax
from voicefit.heads.novelty import Novelty
from voicefit.heads.prior import Prior
from voicefit.selection.ranking import PooledCorpus, learn_together, pool_corpora
from voicefit.system.hub import MINI

TEACHERS = ("ravdess", "tess", "emodb", "emovo")
TARGETS = {"mini": ("nemo", "ravdess", "tess"), "Whisper tiny.en": ("nemo", "emovo", "emodb", "ravdess", "tess")}
SHOTS = (1, 5)
FALSE_REJECTIONS = 0.05
WINDOW, MOST_WINDOWS = 3 * SAMPLE_RATE, 12
PAUSE = round(0.8 * SAMPLE_RATE)
DIGITS = 20
"""So many spoken digits of each speaker of FSDD."""

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def windows(waveform: np.ndarray) -> Iterator[np.ndarray]:
    """At most so many windows of a recording, evenly spread."""
    count = max(1, min(MOST_WINDOWS, len(waveform) // WINDOW))
    for start in np.linspace(0, max(0, len(waveform) - WINDOW), count).astype(int):
        if len(waveform) > 0.3 * SAMPLE_RATE:
            yield waveform[start : start + WINDOW]


def recorded(root: Path) -> dict[str, list[np.ndarray]]:
    """Kind → windows of recordings without speech."""
    found: dict[str, list[np.ndarray]] = {}
    for kind in sorted(path.name for path in root.iterdir() if path.is_dir()):
        found[kind] = []
        for path in find_audio([root / kind]):
            try:
                found[kind] += windows(load_waveform(path))
            except AudioError:
                continue
    return found


def made() -> dict[str, list[np.ndarray]]:
    """Kind → sounds that are computed: they say less than recordings."""
    generator = np.random.default_rng(0)
    white = [generator.normal(scale=scale, size=WINDOW) for scale in (0.001, 0.01, 0.1)]
    times = np.arange(WINDOW) / SAMPLE_RATE
    tones = [0.2 * np.sin(2 * np.pi * pitch * times) for pitch in (60, 220, 440, 1000)]
    return {"white noise": white, "tones": tones, "digital silence": [np.zeros(WINDOW)]}


def quietest(waveform: np.ndarray) -> np.ndarray:
    """The quietest stretch of a clip, mostly a pause or what is before and after the speech."""
    power = np.convolve(waveform**2, np.ones(PAUSE), mode="valid") if len(waveform) > PAUSE else np.zeros(1)
    return waveform[int(power.argmin()) :][:PAUSE]


def telephone(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """300 to 3400 Hz."""
    return np.asarray(sosfilt(butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos"), waveform))


def room(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A computed room that decays by 60 dB in 0.4 s."""
    times = np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    echo = generator.normal(size=len(times)) * 10 ** (-3 * times / 0.4)
    echo[0] = 8.0
    return np.asarray(fftconvolve(waveform, echo / np.linalg.norm(echo))[: len(waveform)])


def in_noise(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """White noise 20 dB below the speech."""
    return waveform + generator.normal(scale=0.1 * waveform.std(), size=len(waveform))


def louder(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """12 dB louder, or as far as full scale."""
    return waveform * min(4.0, 1 / max(1e-6, float(np.abs(waveform).max())))


CHANGES: dict[str, Change] = {
    "telephone": telephone,
    "room": room,
    "noise 20 dB below": in_noise,
    "12 dB louder": louder,
}


def middle(seconds: int) -> Change:
    """So many seconds in the middle of a clip, as a short window hears them."""

    def cut(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        samples = seconds * SAMPLE_RATE
        return waveform[max(0, (len(waveform) - samples) // 2) :][:samples]

    return cut


CUTS: dict[str, Change] = {"middle 1 s": middle(1), "middle 2 s": middle(2)}


@dataclass(frozen=True)
class Target:
    """The voices of one corpus.

    Attributes:
        prior: of the corpora that taught.
        pooled: its clips.
        changed: change → rows of the clips that were changed, and their vectors.
        pauses: vectors of the quietest stretch of clips.
    """

    prior: Prior
    pooled: PooledCorpus
    changed: dict[str, tuple[np.ndarray, np.ndarray]]
    pauses: np.ndarray


def embedded(encoder: Encoder, waveforms: Sequence[np.ndarray]) -> np.ndarray:
    """Pooled vectors ``(waveforms, hidden_size)``."""
    return np.stack([encoder.embed(waveform.astype(np.float32)) for waveform in waveforms])


def target(encoder: Encoder, pooled: PooledCorpus, prior: Prior) -> Target:
    """A corpus, and its clips in other conditions: every sixth, at most 300."""
    clips, generator = pooled.corpus.clips, np.random.default_rng(0)
    rows = np.arange(0, len(clips), max(6, len(clips) // 300))
    waveforms = [load_waveform(clips[row].path) for row in rows]
    changed = {
        name: (rows, embedded(encoder, [change(one, generator) for one in waveforms]))
        for name, change in (CHANGES | CUTS).items()
    }
    return Target(prior, pooled, changed, embedded(encoder, [quietest(one) for one in waveforms]))


def unlikeness(prior: Prior, head: Head, novelty: Novelty, pooled: np.ndarray) -> dict[str, np.ndarray]:
    """Score → value of each clip; the higher, the more unlike the labels."""
    logits = head(pooled).astype(np.float64)
    points = prior.project(pooled)[:, : novelty.means.shape[1]]
    apart = (points - novelty.means.mean(axis=0)) ** 2 / (1 + prior.signal[: novelty.means.shape[1]])
    return {
        "nearest label": novelty.distance(pooled),
        "centre of the voice": apart.mean(axis=1),
        "probability of the answer": -softmax(logits).max(axis=1),
        "energy": -np.logaddexp.reduce(logits, axis=1),
    }


def voice_rows(
    one: Target, speaker: str, sounds: Mapping[str, np.ndarray], shots: int
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Kind of clip → what each score says of it, for one voice."""
    clips, vectors = one.pooled.corpus.clips, one.pooled.vectors.numpy()
    names = np.array([str(clip.label) for clip in clips])
    own = np.array([clip.speaker == speaker for clip in clips])
    labels = [name for name in sorted(set(names[own])) if (own & (names == name)).sum() >= shots + 2]
    if len(labels) < 2:
        return

    def fitted(known: Sequence[str]) -> tuple[np.ndarray, Callable[[np.ndarray], dict[str, np.ndarray]]]:
        generator = np.random.default_rng(0)
        chosen = [generator.permutation(np.flatnonzero(own & (names == name)))[:shots] for name in known]
        rows, targets = np.concatenate(chosen), np.repeat(np.arange(len(known)), shots)
        given = Shots(vectors[rows], [], targets, len(known), labels=tuple(known), prior=one.prior)
        head = posterior_head(given, Settings())
        novelty = Novelty.of_shots(one.prior, vectors[rows], targets, len(known))
        return rows, lambda pooled: unlikeness(one.prior, head, novelty, pooled)

    rows, judge = fitted(labels)
    tested = np.setdiff1d(np.flatnonzero(own & np.isin(names, labels)), rows)
    yield "own clips", judge(vectors[tested])
    for name, (changed, found) in one.changed.items():
        kept = np.isin(changed, tested)
        if kept.any():
            yield f"own clips, {name}", judge(found[kept])
    yield "pauses", judge(one.pauses)
    yield "other voices of the corpus", judge(vectors[~own & np.isin(names, labels)])
    for kind, found in sounds.items():
        yield kind, judge(found)
    for name in labels if len(labels) > 2 and shots == max(SHOTS) else ():
        _, without = fitted([other for other in labels if other != name])
        yield "a label left out", without(vectors[own & (names == name)])


def taught(encoder: Encoder, name: str, quick: bool) -> dict[str, tuple[Prior, PooledCorpus]]:
    """Every target, and what the other corpora teach; `mini` brings its own."""
    own = open_start(MINI).prior if name == MINI else None
    wanted = TARGETS[name][: 2 if quick else None]
    corpora = [*wanted, *(TEACHERS if own is None else ())]
    loaded = [load_corpus(one, folder("VOICEFIT_DATA") / FOLDERS[one]) for one in dict.fromkeys(corpora)]
    pooled = {part.corpus.name: part for part in pool_corpora(encoder, loaded)[0]}
    return {
        one: (own or learn_together([pooled[other] for other in TEACHERS if other != one]), pooled[one])
        for one in wanted
    }


def encoders(quick: bool) -> Iterator[tuple[str, Encoder]]:
    """Name and encoder; `mini` alone if ``quick``."""
    yield MINI, open_start(MINI).encoder
    if not quick:
        where = folder("VOICEFIT_MODELS") / WHISPER_TINY
        yield "Whisper tiny.en", load_encoder(where, Reading(depth=2, frozen_layers=2))


def of_encoder(name: str, encoder: Encoder, quick: bool) -> Iterator[dict[str, Any]]:
    """A row per target, voice, number of shots, kind of clip and score: the values."""
    digits = load_corpus("fsdd", folder("VOICEFIT_DATA") / "FSDD").clips
    spoken = [load_waveform(clip.path) for clip in digits[:: max(1, len(digits) // (6 * DIGITS))]]
    root = Path(os.environ.get("VOICEFIT_NOISE", ""))
    waveforms = (recorded(root) if os.environ.get("VOICEFIT_NOISE") else {}) | made() | {"spoken digits": spoken}
    sounds = {kind: embedded(encoder, parts) for kind, parts in waveforms.items()}
    for corpus, (prior, pooled) in taught(encoder, name, quick).items():
        one = target(encoder, pooled, prior)
        for speaker in one.pooled.corpus.speakers[: 2 if quick else None]:
            for shots in SHOTS:
                for kind, scores in voice_rows(one, speaker, sounds, shots):
                    for score, values in scores.items():
                        row = {"encoder": name, "target": corpus, "speaker": speaker, "shots": shots, "kind": kind}
                        yield row | {"score": score, "values": values}


def rejected(found: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row per encoder, shots, target and score: the share of each kind that is rejected, mean over voices."""
    own = found[found["kind"] == "own clips"]
    for (name, shots, score), part in found.groupby(["encoder", "shots", "score"], sort=False):
        mine = own[(own["encoder"] == name) & (own["shots"] == shots) & (own["score"] == score)]
        limits = {
            corpus: float(np.quantile(np.concatenate(list(rows["values"])), 1 - FALSE_REJECTIONS))
            for corpus, rows in mine.groupby("target", sort=False)
        }
        for corpus, rows in part.groupby("target", sort=False):
            elsewhere = float(np.mean([limit for other, limit in limits.items() if other != corpus]))
            for words, limit in (("5 % of other corpora", elsewhere), ("shipped", 1.0)):
                if words == "shipped" and score != "nearest label":
                    continue
                shares = rows.assign(share=[float((values > limit).mean()) for values in rows["values"]])
                means = (
                    shares.groupby(["kind", "speaker"], sort=False)["share"].mean().groupby("kind", sort=False).mean()
                )
                head = {"encoder": name, "shots": shots, "score": score, "limit": words, "target": corpus}
                yield head | {str(kind): f"{100 * share:.0f}" for kind, share in means.items()}


def main() -> None:
    """A row per encoder, shots, score and target: percent rejected of each kind."""
    options = parse_options(__doc__)
    rows = [row for name, encoder in encoders(options.quick) for row in of_encoder(name, encoder, options.quick)]
    publish(list(rejected(pd.DataFrame(rows))), options, ["Percent rejected, mean over voices."])


if __name__ == "__main__":
    main()
