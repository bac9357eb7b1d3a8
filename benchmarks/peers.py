"""From audio files to a model of a voice: Voicefit beside what people use otherwise, on one voice after another.

Each peer gets the same labelled clips of a speaker of nEMO, six emotions at once, and is tested on the same third of
their clips. Seconds are those from the files of 8 clips an emotion to a model in memory, without imports. Needs
`opensmile`, and the real corpora and encoders (`experiments/real_data.py`).
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, Trainer, TrainingArguments

import voicefit
from benchmarks.common import parse_options, publish
from experiments.real_data import FOLDERS, WHISPER_TINY, folder
from voicefit.audio import load_waveform
from voicefit.corpora import Clip, load_corpus
from voicefit.sweep.episodes import Episode, SpeakerEpisodes

SPEAKERS = ("EB0", "IC0", "KD0", "KS0", "MP0", "SM0")
CLIPS_AN_EMOTION = (1, 8)
DRAWS = 3
TRAINER_DRAWS = 1
"""The `Trainer` takes minutes where others take seconds."""

Answers = Callable[[Sequence[Clip]], list[str]]

_READ: dict[tuple[str, Clip], np.ndarray] = {}


@dataclass(frozen=True)
class Voice:
    """What a peer is given: labelled clips, their labels, and recordings without labels."""

    clips: Sequence[Clip]
    labels: Sequence[str]
    recordings: Sequence[Clip]


def opensmile_svm(voice: Voice) -> Answers:
    """Read 88 functionals (eGeMAPS) of each clip, scaled, and a linear SVM."""
    import opensmile  # installed for this row alone

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )
    return _fit(
        lambda clip: smile.process_signal(load_waveform(clip.path), 16000).to_numpy()[0], SVC(kernel="linear"), voice
    )


def whisper_logistic(voice: Voice) -> Answers:
    """The mean of a pretrained encoder's last layer, and logistic regression: what frameworks of embeddings do."""
    source = folder("VOICEFIT_MODELS") / WHISPER_TINY
    extract = AutoFeatureExtractor.from_pretrained(source)
    encoder = AutoModelForAudioClassification.from_pretrained(source, num_labels=6, dtype=torch.float32).encoder.eval()

    @torch.no_grad()
    def embed(clip: Clip) -> np.ndarray:
        inputs = extract(load_waveform(clip.path), sampling_rate=16000, return_tensors="pt")["input_features"]
        return encoder(inputs).last_hidden_state.mean(1)[0].numpy()

    return _fit(embed, LogisticRegression(max_iter=1000), voice)


def _fit(features: Callable[[Clip], np.ndarray], classifier: Any, voice: Voice) -> Answers:
    features = _remember(features, type(classifier).__name__)
    model: Pipeline = make_pipeline(StandardScaler(), classifier)
    model.fit(np.stack([features(clip) for clip in voice.clips]), voice.labels)
    return lambda clips: model.predict(np.stack([features(clip) for clip in clips])).tolist()


def _remember(features: Callable[[Clip], np.ndarray], peer: str) -> Callable[[Clip], np.ndarray]:
    """Read each clip once for all draws of a speaker; the first draw is timed."""

    def read(clip: Clip) -> np.ndarray:
        if (peer, clip) not in _READ:
            _READ[peer, clip] = features(clip)
        return _READ[peer, clip]

    return read


def hf_trainer(voice: Voice) -> Answers:
    """The audio classification recipe of `transformers`: all is trained for ten epochs at a rate of 3e-5."""
    source = folder("VOICEFIT_MODELS") / WHISPER_TINY
    names = sorted(set(voice.labels))
    extract = AutoFeatureExtractor.from_pretrained(source)
    torch.manual_seed(0)
    model = AutoModelForAudioClassification.from_pretrained(source, num_labels=len(names), dtype=torch.float32)

    def read(clip: Clip) -> torch.Tensor:
        return extract(load_waveform(clip.path), sampling_rate=16000, return_tensors="pt")["input_features"][0]

    rows = [
        {"input_features": read(clip), "labels": names.index(label)}
        for clip, label in zip(voice.clips, voice.labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place, num_train_epochs=10, learning_rate=3e-5, per_device_train_batch_size=8, warmup_steps=0.1,
            save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no", seed=0,
        )  # fmt: skip
        Trainer(model=model, args=arguments, train_dataset=rows).train()
    model.eval()

    @torch.no_grad()
    def answer(clips: Sequence[Clip]) -> list[str]:
        return [names[int(model(read(clip)[None]).logits.argmax())] for clip in clips]

    return answer


def ours(with_recordings: bool) -> Callable[[Voice], Answers]:
    """`voicefit.adapt` from `mini`, with or without the voice's other recordings."""

    def fit(voice: Voice) -> Answers:
        place = Path(tempfile.mkdtemp())
        for number, (clip, label) in enumerate(zip(voice.clips, voice.labels, strict=True)):
            _copy(clip, place / "clips" / label / f"{number}{clip.path.suffix}")
        for number, clip in enumerate(voice.recordings if with_recordings else ()):
            _copy(clip, place / "recordings" / f"{number}{clip.path.suffix}")
        recordings = {"unlabelled": place / "recordings"} if with_recordings else {}
        voicefit.adapt("mini", place / "clips", out=place / "model", **recordings)
        model = voicefit.load_model(place / "model")
        shutil.rmtree(place)
        return lambda clips: [model.predict(load_waveform(clip.path)).label for clip in clips]

    return fit


def _copy(clip: Clip, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(clip.path, place)


PEERS: dict[str, Callable[[Voice], Answers]] = {
    "openSMILE eGeMAPS, linear SVM": opensmile_svm,
    "Whisper tiny.en, mean of the last layer, logistic regression": whisper_logistic,
    "Whisper tiny.en, `Trainer` of transformers": hf_trainer,
    "voicefit adapt": ours(with_recordings=False),
    "voicefit adapt --unlabelled": ours(with_recordings=True),
}


def episodes(name: str, quick: bool) -> Iterator[tuple[int, SpeakerEpisodes, Episode, int]]:
    """Yield clips an emotion, the speaker, the clips, and the draw, for one peer."""
    corpus = load_corpus("nemo", folder("VOICEFIT_DATA") / FOLDERS["nemo"])
    draws = TRAINER_DRAWS if "Trainer" in name or quick else DRAWS
    for speaker in SPEAKERS[: 1 if quick else None]:
        own = SpeakerEpisodes(corpus, speaker)
        for count in reversed(CLIPS_AN_EMOTION):
            for draw in range(draws):
                episode = own.multiclass(count * len(own.labels), draw)
                assert episode is not None
                yield count, own, episode, draw


def measure(name: str, quick: bool) -> dict[str, Any]:
    """One row: macro F1 at each number of clips, and the median of the seconds at the most."""
    scores: dict[int, dict[str, list[float]]] = {count: {} for count in CLIPS_AN_EMOTION}
    seconds = []
    for count, own, episode, draw in episodes(name, quick):
        labels = [episode.labels[target] for target in episode.support_targets]
        voice = Voice(episode.support, labels, own.unlabelled(1000, draw))
        began = time.perf_counter()
        answers = PEERS[name](voice)
        if (count, draw) == (max(CLIPS_AN_EMOTION), 0):
            seconds.append(time.perf_counter() - began)
        truth = [episode.labels[target] for target in episode.test_targets]
        score = float(f1_score(truth, answers(episode.test), average="macro"))
        scores[count].setdefault(own.speaker, []).append(score)
    row: dict[str, Any] = {"peer": name, "speakers": len(scores[1]), "draws": len(next(iter(scores[1].values())))}
    for count, by_speaker in scores.items():
        row[f"macro F1, {count} an emotion"] = round(float(np.mean([np.mean(own) for own in by_speaker.values()])), 3)
    return row | {"seconds to a model, 8 an emotion": round(float(np.median(seconds)), 2)}


def main() -> None:
    """A row for each peer."""
    options = parse_options(__doc__)
    publish([measure(name, options.quick) for name in PEERS], options)


if __name__ == "__main__":
    main()
