"""What unlabelled clips of a voice are worth to the method `prior` when they are not what one would wish for.

Mostly or only neutral, a second each, or from another microphone; and what another microphone costs with shots that
were recorded on the first. It is simulated: a room's echo, and nothing above 4 kHz. VOICEFIT_DATA and
VOICEFIT_MODELS name the folders that hold the corpora and the encoders.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import soxr

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.adaptation.prior import Settings, posterior_head
from voicefit.adaptation.shots import Shots
from voicefit.audio import SAMPLE_RATE, load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.distillation.augment import reverberate
from voicefit.encoders import Reading, load_encoder
from voicefit.heads.prior import Prior
from voicefit.scores import score
from voicefit.selection.ranking import learn_together, pool_corpora
from voicefit.sweep.episodes import SpeakerEpisodes

TARGETS = ("nemo", "ravdess")
SHOTS = (2, 8)
UNLABELLED = 12


def as_recorded(waveform: np.ndarray) -> np.ndarray:
    """The clip itself."""
    return waveform


def first_second(waveform: np.ndarray) -> np.ndarray:
    """No more than a second of it, from its middle."""
    spare = max(0, len(waveform) - SAMPLE_RATE) // 2
    return waveform[spare : spare + SAMPLE_RATE]


def other_microphone(waveform: np.ndarray) -> np.ndarray:
    """The same room for every clip, and half the sampling rate."""
    echoed = reverberate(waveform, np.random.default_rng(0))
    narrow = soxr.resample(echoed, SAMPLE_RATE, SAMPLE_RATE // 2)
    return soxr.resample(narrow, SAMPLE_RATE // 2, SAMPLE_RATE)


Heard = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Condition:
    """How shots, unlabelled clips and test clips are heard, and what share of the unlabelled is drawn as neutral."""

    name: str
    shots: Heard = as_recorded
    unlabelled: Heard | None = None
    test: Heard = as_recorded
    neutral: float = 0.0


CONDITIONS = (
    Condition("no unlabelled clips"),
    Condition("12 unlabelled", unlabelled=as_recorded),
    Condition("four fifths neutral", unlabelled=as_recorded, neutral=0.8),
    Condition("all neutral", unlabelled=as_recorded, neutral=1.0),
    Condition("12, a second of each", unlabelled=first_second),
    Condition("12, another microphone", unlabelled=other_microphone),
    Condition("tested on another microphone: no unlabelled clips", test=other_microphone),
    Condition("… 12 unlabelled of the first", unlabelled=as_recorded, test=other_microphone),
    Condition("… 12 unlabelled of the other", unlabelled=other_microphone, test=other_microphone),
    Condition("… shots of the other too, none unlabelled", shots=other_microphone, test=other_microphone),
)


def unlabelled(episodes: SpeakerEpisodes, draw: int, neutral: float) -> list[Clip]:
    """Twelve clips, a share of them neutral; fewer, in the same proportion, of a speaker with too few neutral ones."""
    if not neutral:
        return episodes.unlabelled(UNLABELLED, draw)
    clips = episodes.unlabelled(round(neutral * UNLABELLED), draw, "neutral")
    return clips + episodes.unlabelled(round(len(clips) * (1 / neutral - 1)), draw)


def measure(
    episodes: SpeakerEpisodes, prior: Prior, hear: Callable[[Sequence[Clip], Heard], np.ndarray], draws: int
) -> Iterator[dict[str, object]]:
    """A row per trial: condition, speaker, k, macro_f1."""
    for label, k, draw, condition in product(episodes.labels, SHOTS, range(draws), CONDITIONS):
        episode = episodes.one_vs_rest(label, k, draw)
        if episode is None:
            continue
        more = np.empty((0, len(prior.origin)), np.float32)
        if condition.unlabelled is not None:
            more = hear(unlabelled(episodes, draw, condition.neutral), condition.unlabelled)
        targets = np.array(episode.support_targets)
        support = hear(episode.support, condition.shots)
        shots = Shots(support, [], targets, 2, labels=episode.labels, unlabelled=more, prior=prior)
        answers = posterior_head(shots, Settings())(hear(episode.test, condition.test)).argmax(axis=1).tolist()
        found = score(episode.test_targets, answers)["macro_f1"]
        yield {"condition": condition.name, "speaker": episodes.speaker, "k": k, "macro_f1": found}


def main() -> None:
    """A row per condition: macro F1, mean over speakers of their means over emotions and draws."""
    options = parse_options(__doc__)
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2, frozen_layers=2))
    names = ("emodb", "emovo", "ravdess") if options.quick else tuple(FOLDERS)
    pooled = pool_corpora(encoder, [load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]) for name in names])[0]

    @cache
    def vector(clip: Clip, heard: Heard) -> np.ndarray:
        return encoder.embed(heard(load_waveform(clip.path, clip.start, clip.end)))

    def hear(clips: Sequence[Clip], heard: Heard) -> np.ndarray:
        return np.stack([vector(clip, heard) for clip in clips])

    means: dict[str, pd.Series] = {}
    for target in pooled:
        name = target.corpus.name
        if name not in TARGETS:
            continue
        prior = learn_together([part for part in pooled if part.corpus.name not in ("nemo", name)])
        rows = []
        for speaker in target.corpus.speakers[: 1 if options.quick else None]:
            rows += measure(SpeakerEpisodes(target.corpus, speaker), prior, hear, 1 if options.quick else 10)
        by_speaker = pd.DataFrame(rows).groupby(["condition", "k", "speaker"])["macro_f1"].mean()
        for k, part in by_speaker.groupby(["condition", "k"]).mean().groupby("k"):
            means[f"{name}, k={k}"] = part.droplevel("k")
    publish([row(condition, means) for condition in CONDITIONS], options)


def row(condition: Condition, means: Mapping[str, pd.Series]) -> dict[str, str]:
    """A line of the table."""
    return {"unlabelled clips": condition.name} | {
        column: f"{found[condition.name]:.3f}" for column, found in means.items()
    }


if __name__ == "__main__":
    main()
