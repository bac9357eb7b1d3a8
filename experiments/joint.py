"""What a voice's own recordings are worth without labels: the method `joint` beside `prior` and `head`.

Several emotions at once by labelled clips an emotion, and one-vs-rest; with few recordings, and with four fifths of
them neutral. Every encoder and target has a table. The corpora that teach are RAVDESS, TESS, EmoDB and EMOVO, less the
target; `mini` knows EmoDB and EMOVO. A speaker's recordings are all clips that are neither shots nor tested.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_BASE, WHISPER_TINY, folder
from voicefit.adaptation import Shots, find_method, joint
from voicefit.adaptation.prior import Settings, posterior_head
from voicefit.checkpoints.start import open_start
from voicefit.corpora import Clip, load_corpus
from voicefit.encoders import Encoder, Reading, load_encoder
from voicefit.heads.head import Head
from voicefit.heads.prior import Prior
from voicefit.scores import score
from voicefit.selection.ranking import PooledCorpus, learn_together, pool_corpora
from voicefit.sweep.episodes import Episode, SpeakerEpisodes
from voicefit.system.hub import MINI

TEACHERS = ("ravdess", "tess", "emodb", "emovo")
TARGETS = ("nemo", "emovo", "emodb", "ravdess")
SHOTS_AN_EMOTION = (0, 1, 2, 4, 8)
SHOTS_ONE_VS_REST = (2, 8, 16, 64)
RECORDINGS = (12, 30, 100)
NEUTRAL_SHARE = 0.8
UNEVEN_SHARES = (0.15, 0.6, 0.3)
"""Of the recordings of each emotion in turn; neutral ones are all there."""


@dataclass(frozen=True)
class Voice:
    """A speaker with vectors of all clips, and what is known before any shot.

    Attributes:
        episodes: which clips are shots and which are tested.
        vectors: clip id → pooled vector ``(hidden_size,)``.
        prior: of the other corpora.
        encoder: for methods that want its projector.
    """

    episodes: SpeakerEpisodes
    vectors: dict[str, np.ndarray]
    prior: Prior
    encoder: Encoder

    def pooled(self, clips: Sequence[Clip]) -> np.ndarray:
        """Pooled vectors ``(clips, hidden_size)``."""
        rows = [self.vectors[clip.id] for clip in clips]
        return np.stack(rows) if rows else np.empty((0, self.encoder.hidden_size), np.float32)

    def recordings(self, episode: Episode, draw: int) -> list[Clip]:
        """All clips that are neither shots nor tested, shuffled."""
        used = {clip.id for clip in (*episode.support, *episode.test)}
        return [clip for clip in self.episodes.unlabelled(10**9, draw) if clip.id not in used]

    def shots(self, episode: Episode, recordings: Sequence[Clip]) -> Shots:
        """What a method is given."""
        return Shots(
            self.pooled(episode.support),
            [],
            np.array(episode.support_targets, dtype=np.int64),
            len(episode.labels),
            labels=episode.labels,
            unlabelled=self.pooled(recordings),
            prior=self.prior,
            partial=not episode.support,
        )


def mostly_neutral(clips: Sequence[Clip]) -> list[Clip]:
    """As many of the clips as make four fifths neutral."""
    neutral = [clip for clip in clips if clip.label == "neutral"]
    others = [clip for clip in clips if clip.label != "neutral"]
    return neutral + others[: round(len(neutral) * (1 / NEUTRAL_SHARE - 1))]


def uneven(clips: Sequence[Clip]) -> list[Clip]:
    """All neutral clips, and of each other emotion in turn few, most or some."""
    kept = [clip for clip in clips if clip.label == "neutral"]
    for index, label in enumerate(sorted({str(clip.label) for clip in clips} - {"neutral"})):
        same = [clip for clip in clips if clip.label == label]
        kept += same[: round(UNEVEN_SHARES[index % len(UNEVEN_SHARES)] * len(same))]
    return kept


def scored(voice: Voice, episode: Episode, head: Head) -> dict[str, float]:
    """Macro F1 and UAR on the test clips, and the mean macro F1 of each emotion against the rest by the same head."""
    answers = head(voice.pooled(episode.test)).argmax(axis=1).tolist()
    found = score(episode.test_targets, answers)
    each = [
        score([int(t == c) for t in episode.test_targets], [int(a == c) for a in answers])["macro_f1"]
        for c in range(len(episode.labels))
    ]
    return {"macro_f1": found["macro_f1"], "uar": found["balanced_accuracy"], "one by one": float(np.mean(each))}


def fitted(voice: Voice, method: str, episode: Episode, recordings: Sequence[Clip]) -> Head:
    """The head of a method; its projector is the encoder's own where it takes that."""
    return find_method(method).configured().fit(voice.encoder, voice.shots(episode, recordings), 0)


def multiclass_rows(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """A row per number of shots, draw and condition."""
    labels = voice.episodes.labels
    for each, draw in ((count, draw) for count in SHOTS_AN_EMOTION for draw in range(draws if count else 1)):
        episode = voice.episodes.multiclass(max(each, 1) * len(labels), draw)
        if episode is None:
            continue
        if not each:
            unnamed = replace(episode, support=(), support_targets=())
            more = [clip for clips in voice.episodes.pool.values() for clip in clips]
            shots = voice.shots(unnamed, more)
            heads: dict[str, Callable[[], Head]] = {
                "zero-shot, all recordings": lambda s=shots: posterior_head(s, Settings()),
                "joint, all recordings": lambda s=shots: joint.joint_head(s),
            }
        else:
            more = voice.recordings(episode, draw)
            heads = {
                "head": lambda e=episode: fitted(voice, "head", e, []),
                "prior": lambda e=episode: fitted(voice, "prior", e, []),
                "prior, all recordings": lambda e=episode, m=more: fitted(voice, "prior", e, m),
                "joint, all recordings": lambda e=episode, m=more: fitted(voice, "joint", e, m),
            }
            if each == 1:
                for count in RECORDINGS:
                    heads[f"joint, {count}"] = lambda e=episode, m=more, n=count: fitted(voice, "joint", e, m[:n])
                for words, chosen in (("four fifths neutral", mostly_neutral(more)), ("uneven", uneven(more))):
                    heads[f"prior, {words}"] = lambda e=episode, m=chosen: fitted(voice, "prior", e, m)
                    heads[f"joint, {words}"] = lambda e=episode, m=chosen: fitted(voice, "joint", e, m)
        for condition, fit in heads.items():
            yield {"task": "multiclass", "condition": condition, "shots": each} | scored(voice, episode, fit())


def one_vs_rest_rows(voice: Voice, draws: int) -> Iterator[dict[str, Any]]:
    """Likewise for one emotion against the rest."""
    for emotion in voice.episodes.labels:
        for k, draw in ((k, draw) for k in SHOTS_ONE_VS_REST for draw in range(draws)):
            episode = voice.episodes.one_vs_rest(emotion, k, draw)
            if episode is None:
                continue
            more = voice.recordings(episode, draw)
            for method, clips in (("head", []), ("prior", more), ("joint", more)):
                condition = f"{method}, all recordings" if clips else method
                head = fitted(voice, method, episode, clips)
                yield {"task": "one-vs-rest", "condition": condition, "shots": k} | scored(voice, episode, head)


def voices(encoder: Encoder, target: PooledCorpus, prior: Prior) -> Iterator[Voice]:
    """Every speaker of a corpus."""
    vectors = {clip.id: vector for clip, vector in zip(target.corpus.clips, target.vectors.numpy(), strict=True)}
    for speaker in target.corpus.speakers:
        yield Voice(SpeakerEpisodes(target.corpus, speaker), vectors, prior, encoder)


def pooled_corpora(encoder: Encoder, names: Iterable[str] = (*TARGETS, *TEACHERS)) -> dict[str, PooledCorpus]:
    """Vectors of corpora, by name."""
    corpora = [load_corpus(name, folder("VOICEFIT_DATA") / FOLDERS[name]) for name in dict.fromkeys(names)]
    return {part.corpus.name: part for part in pool_corpora(encoder, corpora)[0]}


def taught_voices(quick: bool) -> Iterator[tuple[str, list[Voice]]]:
    """Each target and its speakers, where Whisper tiny.en is read after layer 2; one speaker of two if ``quick``."""
    encoder = load_encoder(folder("VOICEFIT_MODELS") / WHISPER_TINY, Reading(depth=2, frozen_layers=2))
    pooled = pooled_corpora(encoder, TARGETS[1:3] if quick else (*TARGETS, *TEACHERS))
    for target in (name for name in TARGETS if name in pooled):
        prior = learn_together([pooled[name] for name in TEACHERS if name != target and name in pooled])
        yield target, list(voices(encoder, pooled[target], prior))[: 1 if quick else None]


def encoders() -> Iterator[tuple[str, Encoder, Prior | None]]:
    """Name, encoder, and the prior that it comes with."""
    models = folder("VOICEFIT_MODELS")
    for name, source in (("Whisper tiny.en", WHISPER_TINY), ("Whisper base", WHISPER_BASE)):
        yield name, load_encoder(models / source, Reading(depth=2, frozen_layers=2)), None
    start = open_start(MINI)
    yield "mini", start.encoder, start.prior


def main() -> None:
    """A row per encoder, target, task and condition: means over speakers of their means over draws and emotions."""
    options = parse_options(__doc__)
    draws = 1 if options.quick else 10
    rows: list[dict[str, Any]] = []
    for name, encoder, own in list(encoders())[2 if options.quick else 0 :]:
        targets = ("nemo", "ravdess") if own else TARGETS
        pooled = pooled_corpora(encoder, targets[:1] if options.quick else (*targets, *(() if own else TEACHERS)))
        for target in targets[: 1 if options.quick else None]:
            prior = own or learn_together([pooled[other] for other in TEACHERS if other != target])
            for voice in voices(encoder, pooled[target], prior):
                found = [*multiclass_rows(voice, draws), *one_vs_rest_rows(voice, max(1, draws // 2))]
                rows += [{"encoder": name, "target": target, "speaker": voice.episodes.speaker, **row} for row in found]
    publish(table(pd.DataFrame(rows)), options)


def table(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per condition, a column per number of shots."""
    keys = ["encoder", "target", "task", "condition", "shots"]
    scores = ["macro_f1", "uar", "one by one"]
    means = trials.groupby([*keys, "speaker"], sort=False)[scores].mean().groupby(keys, sort=False).mean()
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (*group, shots), values in means.iterrows():
        for measure in scores if group[2] == "multiclass" else scores[:1]:
            row = rows.setdefault((*group, measure), {**dict(zip(keys, group, strict=False)), "score": measure})
            row[str(shots)] = f"{values[measure]:.3f}"
    return list(rows.values())


if __name__ == "__main__":
    main()
