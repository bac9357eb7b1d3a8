"""A second, deliberately naive implementation: a plain `transformers` model, one clip at a time, no cache, no batches.

It shares nothing with the engine but the pretrained weights, the clips of an episode and, where training starts from
them, the projector and heads.
"""

import copy
import math

import numpy as np
import pytest
import soundfile
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from torch import nn
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from support.tiny_models import build_wav2vec2_group_norm, build_wav2vec2_layer_norm, build_whisper, make_waveform
from voicefit.adaptation import ConfiguredMethod, find_method
from voicefit.adaptation.fine_tune import balanced_order
from voicefit.corpora import folder
from voicefit.encoders import FrontCache, load_encoder
from voicefit.prefinetuning.batches import split_by_speaker
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.prefinetuning.trainer import Trainer, multi_corpus_loss
from voicefit.sweep.episodes import SpeakerEpisodes
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_trial

torch.set_num_threads(1)

FAMILIES = {
    "wav2vec2-group-norm": (build_wav2vec2_group_norm, "wav2vec2.feature_extractor."),
    "wav2vec2-layer-norm": (build_wav2vec2_layer_norm, "wav2vec2.feature_extractor."),
    "whisper": (build_whisper, ("encoder.conv", "encoder.embed_positions")),
}
LABELS = {"three": ("anger", "fear", "neutral"), "two": ("anger", "neutral")}


class Exact:
    """The engine's cache without its rounding to half precision, so that agreement can be asked for to float32."""

    def __init__(self, encoder):
        self.encoder = encoder

    def frames(self, clip):
        return self.encoder.front(soundfile.read(clip.path, dtype="float32")[0])


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    """The folder of a tiny model and what the names of its frozen weights begin with."""
    build, frozen = FAMILIES[request.param]
    return build(tmp_path_factory.mktemp("model")), frozen


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    root, seed = tmp_path_factory.mktemp("corpora"), 0
    for corpus, labels in LABELS.items():
        for speaker in ("anna", "ben"):
            for label in labels:
                for take in range(9):
                    seed += 1
                    path = root / corpus / speaker / label / f"{take}.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    soundfile.write(path, make_waveform(0.1 + 0.03 * (seed % 7), seed), 16_000, subtype="FLOAT")
    return {corpus: folder.load(corpus, root / corpus) for corpus in LABELS}


class Naive:
    """A `transformers` classifier used as its documentation says, with the front end frozen."""

    def __init__(self, model_folder, frozen):
        self.model = AutoModelForAudioClassification.from_pretrained(model_folder).eval()
        self.extractor = AutoFeatureExtractor.from_pretrained(model_folder)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))

    def vector(self, clip):
        """The mean over frames of one clip, ``(hidden_size,)``, by the model's own forward pass."""
        waveform = soundfile.read(clip.path, dtype="float32")[0]
        inputs = self.extractor(waveform, sampling_rate=16_000, return_tensors="pt")
        inputs.pop("attention_mask", None)
        seen = []
        hook = self.model.projector.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
        self.model(**inputs)
        hook.remove()
        return seen[0].mean(1)[0] if seen[0].ndim == 3 else seen[0][0]

    def projected(self, clip):
        return self.model.projector(self.vector(clip))


def test_a_step_of_pre_finetuning_has_the_losses_and_gradients_of_the_naive_one(family, corpora):
    splits = [split_by_speaker(corpus, 0.5, 0) for corpus in corpora.values()]
    encoder = load_encoder(family[0])
    trainer = Trainer(encoder, splits, Exact(encoder), PrefinetuneSettings(), seed=0)
    encoder.eval()  # no dropout
    batch = {"three": np.array([0, 5, 9, 26]), "two": np.array([1, 17])}
    losses, _ = trainer.losses(batch)
    total = multi_corpus_loss(losses, trainer.heads.labels)
    total.backward()

    naive = Naive(*family)
    heads = {name: copy.deepcopy(head) for name, head in zip(LABELS, trainer.heads.linear, strict=True)}
    expected = []
    for split in splits:
        parts = []
        for index in batch[split.name]:
            clip = split.train[index]
            logits = heads[split.name](naive.projected(clip))
            parts.append(-torch.log_softmax(logits, 0)[LABELS[split.name].index(clip.label)])
        expected.append(sum(parts) / len(parts))
        assert losses[split.name].item() == pytest.approx(expected[-1].item(), abs=1e-5)
    naive_total = sum(loss / math.log(len(LABELS[s.name])) for loss, s in zip(expected, splits, strict=True)) / 2
    assert total.item() == pytest.approx(naive_total.item(), abs=1e-5)
    naive_total.backward()
    gradients = {name: p.grad for name, p in naive.model.named_parameters() if p.grad is not None}
    found = {name.removeprefix("model."): p.grad for name, p in encoder.named_parameters() if p.grad is not None}
    assert found.keys() == gradients.keys()
    assert len(found) > 20
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, gradients[name], atol=1e-5, rtol=1e-3, msg=name)
    for name, head in zip(LABELS, trainer.heads.linear, strict=True):
        torch.testing.assert_close(head.weight.grad, heads[name].weight.grad, atol=1e-5, rtol=1e-3)


def spec_of(method):
    return TrialSpec("tiny", "none", "s", "three", "clean", "one-vs-rest", method, "m", "anna", "fear", 4, 1, 0)


def nearest_mean(naive, episode):
    vectors = {clip: naive.projected(clip).detach() for clip in (*episode.support, *episode.test)}
    means = [
        sum(vectors[c] for c, t in zip(episode.support, episode.support_targets, strict=True) if t == label) / 2
        for label in (0, 1)
    ]
    return [int(np.argmin([float(((vectors[c] - mean) ** 2).sum()) for mean in means])) for c in episode.test]


def logistic(naive, episode):
    support = np.array([naive.projected(clip).tolist() for clip in episode.support])
    centre = support.mean(0)
    scale = (support - centre).std()
    model = LogisticRegression(C=1.0, max_iter=1000).fit((support - centre) / scale, episode.support_targets)
    return [int(model.predict([(np.array(naive.projected(c).tolist()) - centre) / scale])[0]) for c in episode.test]


def fine_tuned(naive, episode, batches):
    """All that `full` says of itself: centred and scaled projector, logistic head, AdamW with warm-up and decay."""
    support = np.array([naive.projected(clip).tolist() for clip in episode.support])
    centre, scale = support.mean(0), (support - support.mean(0)).std()
    logits = LogisticRegression(C=1.0, max_iter=1000).fit((support - centre) / scale, episode.support_targets)
    classifier = nn.Linear(support.shape[1], 2)
    with torch.no_grad():
        projector = naive.model.projector
        projector.weight.copy_(projector.weight / scale)
        projector.bias.copy_((projector.bias - torch.tensor(centre)) / scale)
        classifier.weight.copy_(torch.tensor(np.vstack([-logits.coef_ / 2, logits.coef_ / 2])))
        classifier.bias.copy_(torch.tensor(np.concatenate([-logits.intercept_ / 2, logits.intercept_ / 2])))
    body = [p for name, p in naive.model.named_parameters() if p.requires_grad and "classifier" not in name]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": 1e-5}, {"params": classifier.parameters(), "lr": 1e-3}], weight_decay=0.01
    )
    steps = len(batches)
    for step, batch in enumerate(batches):
        factor = min((step + 1) / max(1, steps // 10), (steps - step) / steps)
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 1e-5 * factor, 1e-3 * factor
        optimizer.zero_grad()
        for index in batch:
            answer = classifier(naive.projected(episode.support[index]))
            (-torch.log_softmax(answer, 0)[episode.support_targets[index]] / len(batch)).backward()
        optimizer.step()
    return torch.stack([classifier(naive.projected(clip)) for clip in episode.test]).detach()


@pytest.mark.parametrize(("method", "answers"), [("prototype", nearest_mean), ("head", logistic)])
def test_a_trial_answers_as_the_naive_one(family, corpora, method, answers):
    encoder = load_encoder(family[0])
    bench = SpeakerBench(encoder, Exact(encoder), SpeakerEpisodes(corpora["three"], "anna"))
    result = run_trial(bench, spec_of(method), PlannedMethod(find_method(method).configured()))
    episode = bench.episodes.one_vs_rest("fear", 4, 1)
    expected = answers(Naive(*family), episode)
    assert result["macro_f1"] == pytest.approx(f1_score(episode.test_targets, expected, average="macro"))
    head = find_method(method).fit(
        encoder,
        bench.shots(episode.support, episode.support_targets, episode.labels),
        find_method(method).settings_type(),
        0,
    )
    assert head(bench.pool(episode.test)).argmax(axis=1).tolist() == expected


@pytest.mark.slow(1)
def test_fine_tuning_ends_where_the_naive_one_ends(family, corpora):
    # Two shots a step: with all of them the bias of every layer begins where the loss does not change with it, and
    # which way it moves is rounding.
    settings = find_method("full").settings_type(steps=10, batch_size=2)
    encoder, spec = load_encoder(family[0]), spec_of("full")
    bench = SpeakerBench(encoder, Exact(encoder), SpeakerEpisodes(corpora["three"], "anna"))
    episode = bench.episodes.one_vs_rest("fear", 4, 1)
    with encoder.restored():
        shots = bench.shots(episode.support, episode.support_targets, episode.labels)
        head = find_method("full").fit(encoder, shots, settings, spec.method_seed)
        logits = torch.from_numpy(head(encoder.pool(bench.cache.frames(clip) for clip in episode.test).numpy()))
    order = balanced_order(np.array(episode.support_targets), np.random.default_rng(spec.method_seed))
    expected = fine_tuned(Naive(*family), episode, [[next(order), next(order)] for _ in range(10)])
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=0)
    assert (expected - fine_tuned(Naive(*family), episode, [])).abs().max() > 0.01  # there was something to agree on
    result = run_trial(bench, spec, PlannedMethod(ConfiguredMethod(find_method("full"), settings)))
    assert result["macro_f1"] == pytest.approx(
        f1_score(episode.test_targets, expected.argmax(1), average="macro", zero_division=0)
    )


def test_half_precision_in_the_cache_moves_a_loss_little(family, corpora, tmp_path):
    splits = [split_by_speaker(corpus, 0.5, 0) for corpus in corpora.values()]
    encoder = load_encoder(family[0])
    batch = {"three": np.arange(0, 27, 3), "two": np.arange(0, 18, 3)}
    losses = []
    for cache in (Exact(encoder), FrontCache(encoder, tmp_path)):
        trainer = Trainer(encoder, splits, cache, PrefinetuneSettings(), seed=0)
        encoder.eval()
        losses.append(multi_corpus_loss(trainer.losses(batch)[0], trainer.heads.labels).item())
    assert losses[1] == pytest.approx(losses[0], abs=5e-3)
    assert losses[1] != losses[0]
