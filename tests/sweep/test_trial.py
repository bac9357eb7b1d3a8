from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from support.tiny_models import make_prior
from voicefit.adaptation import METHODS, Shots, find_method, published
from voicefit.corpora import load_corpus
from voicefit.encoders import Encoder, FrontCache, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.scores import floors, score
from voicefit.sweep.planned_method import PlannedMethod
from voicefit.sweep.specs import TrialSpec
from voicefit.sweep.trial import SpeakerBench, run_together, run_trial


def spec_of(method="prototype", **changes):
    usual = {
        "encoder": "tiny",
        "start": "none",
        "start_key": "s",
        "target": "voices",
        "protocol": "clean",
        "task": "one-vs-rest",
        "method": method,
        "method_key": "m",
        "speaker": "anna",
        "label": "anger",
        "k": 4,
        "draw": 1,
        "seed": 0,
    }
    return TrialSpec(**{**usual, **changes})


@pytest.fixture
def make_bench(corpora_folder, encoder_folder, tmp_path):
    def make(protocol="clean", frozen_layers=1):
        encoder = load_encoder(encoder_folder, Reading(frozen_layers=frozen_layers))
        corpus = load_corpus("voices", corpora_folder / "voices")
        cache, prior = FrontCache(encoder, tmp_path / "cache"), make_prior(encoder.hidden_size)
        return SpeakerBench.of(encoder, cache, corpus, "anna", protocol, prior)

    return make


def run(bench, spec, **settings):
    return run_trial(bench, spec, PlannedMethod(find_method(spec.method).configured(**settings)))


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.needs_validation])
def test_a_trial_leaves_the_encoder_as_it_was_and_gives_the_same_again(method, make_bench):
    bench = make_bench()
    before = {name: value.clone() for name, value in bench.encoder.state_dict().items()}
    first, second = ({**run(bench, spec_of(method)), "seconds": 0} for _ in range(2))
    assert first == second
    assert all(torch.equal(value, before[name]) for name, value in bench.encoder.state_dict().items())


def test_a_trial_records_the_clips_that_it_used(make_bench):
    bench = make_bench()
    result = run(bench, spec_of())
    episode = bench.episodes.one_vs_rest("anger", 4, 1)
    assert result["support"] == [clip.id for clip in episode.support]
    assert result["test_clips"] == len(episode.test) == 6
    assert result["seconds"] > 0


def naive_answers(bench, episode):
    """Nearest mean in loops, every clip through the encoder alone."""

    def vector(clip):
        return bench.encoder.projector(bench.encoder.pool([bench.cache.frames(clip)]))[0].detach().numpy()

    means = [
        np.mean(
            [vector(c) for c, t in zip(episode.support, episode.support_targets, strict=True) if t == i],
            axis=0,
        )
        for i in range(len(episode.labels))
    ]
    return [int(np.argmin([((vector(clip) - mean) ** 2).sum() for mean in means])) for clip in episode.test]


@pytest.mark.parametrize(("task", "label"), [("one-vs-rest", "anger"), ("one-vs-rest", "fear"), ("multiclass", "")])
def test_a_trial_scores_the_test_clips(task, label, make_bench):
    bench = make_bench()
    for draw in range(3):
        result = run(bench, spec_of(task=task, label=label, draw=draw))
        episode = bench.episodes.make(task, label, 4, draw)
        macro_f1 = f1_score(episode.test_targets, naive_answers(bench, episode), average="macro", zero_division=0)
        assert result["macro_f1"] == pytest.approx(macro_f1)
        assert result["floor_coin"] == floors(episode.test_targets)["floor_coin"]


def test_a_trial_of_several_emotions_counts_which_was_taken_for_which(make_bench):
    bench = make_bench()
    spec = spec_of(task="multiclass", label="", k=6)
    episode = bench.episodes.multiclass(6, 1)
    expected = {label: dict.fromkeys(episode.labels, 0) for label in episode.labels}
    for clip, answer in zip(episode.test, naive_answers(bench, episode), strict=True):
        expected[clip.label][episode.labels[answer]] += 1
    found = run(bench, spec)["confusion"]
    rows = [dict(zip(found["labels"], counts, strict=True)) for counts in found["counts"]]
    assert dict(zip(found["labels"], rows, strict=True)) == expected
    assert found["labels"] == sorted(found["labels"]) and len(found["labels"]) > 2
    assert "confusion" not in run(bench, spec_of())


def test_a_trial_under_the_paper_protocol_selects_on_clips_that_are_neither_shots_nor_tested(make_bench, monkeypatch):
    seen = []
    monkeypatch.setattr(published, "_macro_f1", lambda encoder, head, clips, *others: seen.append(clips) or 0.5)
    bench = make_bench("paper")
    result = run(bench, spec_of("published", k=2), epochs=2)
    episode = bench.episodes.one_vs_rest("anger", 2, 1)
    assert len(seen) == 2
    assert seen[0].targets.tolist() == list(episode.validation_targets)
    assert 0 < len(episode.validation) == len({*episode.validation} - {*episode.support, *episode.test})
    assert set(bench.episodes.test) == set(make_bench().episodes.test)
    assert 0 <= result["macro_f1"] <= 1


def test_a_trial_that_trains_scores_the_trained_encoder(make_bench):
    bench = make_bench()
    episode, settings = bench.episodes.one_vs_rest("anger", 4, 1), {"lr": 0.05, "head_lr": 0.05, "steps": 30}
    trained = run(bench, spec_of("full"), **settings)
    method = find_method("full")
    shots = [bench.cache.frames(clip) for clip in episode.support]
    targets = np.array(episode.support_targets)
    with bench.encoder.restored():
        given_shots = Shots(bench.encoder.pool(shots).numpy(), shots, targets, 2)
        head = method.fit(bench.encoder, given_shots, method.settings_type(**settings), spec_of("full").method_seed)
        adapted = head(bench.encoder.pool(bench.cache.frames(clip) for clip in episode.test).numpy()).argmax(axis=1)
    stale = head(bench.encoder.pool(bench.cache.frames(clip) for clip in episode.test).numpy()).argmax(axis=1)
    assert trained["macro_f1"] == pytest.approx(score(episode.test_targets, adapted.tolist())["macro_f1"])
    assert adapted.tolist() != stale.tolist()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trains_encoder])
def test_clips_are_tested_in_the_precision_that_the_encoder_was_trained_in(make_bench, monkeypatch, name):
    bench = make_bench("paper")
    bench.pool(())
    used, forward = [], Encoder.forward
    monkeypatch.setattr(
        Encoder, "forward", lambda encoder, *given, **more: used.append(given[1]) or forward(encoder, *given, **more)
    )
    run(bench, spec_of(name), precision="bfloat16")
    assert set(used) == {"bfloat16"}


def test_a_method_gets_the_unlabelled_clips_that_the_plan_asks_for(make_bench):
    bench, seen, prior = make_bench(), [], find_method("prior")
    watched = replace(prior, fit_many=lambda *given: seen.append(given[1]) or prior.fit_many(*given)).configured()
    spec = spec_of("prior")
    for asked in ((3,), (2, "fear"), ()):
        run_trial(bench, spec, PlannedMethod(watched, *asked))
    for shots, asked in ((seen[0], (3, spec.draw)), (seen[1], (2, spec.draw, "fear"))):
        found = shots.voice.pooled[shots.unlabelled[0]]
        assert np.array_equal(found, bench.pool(bench.episodes.unlabelled(*asked)))
    assert seen[2].unlabelled.shape == (1, 0)
    assert seen[0].labels == [("other", "anger")]


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.fit_many])
@pytest.mark.parametrize(("task", "labels", "k"), [("one-vs-rest", ("anger", "fear"), 3), ("multiclass", ("",), 5)])
@pytest.mark.parametrize("unlabelled", [0, 6])
def test_trials_that_run_together_get_the_scores_that_each_gets_alone(make_bench, method, task, labels, k, unlabelled):
    bench, planned = make_bench(), PlannedMethod(find_method(method).configured(), unlabelled)
    bench.prior = replace(bench.prior, labels=("anger", "calm", "fear"))
    specs = [spec_of(method, task=task, label=label, k=k, draw=draw) for draw in range(5) for label in labels]
    together = run_together(bench, specs, planned)
    alone = [run_trial(bench, spec, planned) for spec in specs]
    for found, expected in zip(together, alone, strict=True):
        assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert len({str(found["support"]) for found in together}) > 1


def test_scores_of_trials_that_run_together_are_those_of_scikit_learn(make_bench):
    """Written out trial by trial, from the head of each."""
    bench, planned = make_bench(), PlannedMethod(find_method("prior").configured())
    specs = [spec_of("prior", label=label, draw=draw) for draw in range(4) for label in ("anger", "fear")]
    for spec, found in zip(specs, run_together(bench, specs, planned), strict=True):
        episode = bench.episodes.one_vs_rest(spec.label, spec.k, spec.draw)
        shots = bench.shots(episode.support, episode.support_targets, episode.labels)
        logits = planned.configured.fit(bench.encoder, shots, 0)(bench.pool(episode.test))
        expected = f1_score(episode.test_targets, logits.argmax(axis=1), average="macro")
        assert found["macro_f1"] == pytest.approx(expected, abs=1e-12)
        assert found["support"] == [clip.id for clip in episode.support]


def test_what_a_clip_gives_does_not_depend_on_the_clips_asked_for_with_it(make_bench, monkeypatch):
    one, other = make_bench(), make_bench()
    for encoder in (one.encoder, other.encoder):  # rounding that depends on the batch, made large
        forward = encoder.forward
        monkeypatch.setattr(encoder, "forward", lambda frames, *rest, run=forward: run(frames, *rest) + len(frames))
    clips = one.episodes.test
    assert np.array_equal(np.concatenate([one.pool([clip]) for clip in clips]), other.pool(clips))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("method", "settings", "frozen", "kept"),
    [
        ("top-layers", {"layers": 1, "lr": 1e-2}, 0, (1, False)),
        ("lhuc", {"lr": 0.5}, 0, (0, True)),
        ("lhuc", {"lr": 0.5}, 1, (1, True)),
    ],
)
def test_what_a_method_leaves_alone_hears_each_clip_once(
    make_bench, monkeypatch, precision, method, settings, frozen, kept
):
    """Two trials give what they give where every pass runs the whole encoder."""
    specs = [spec_of(method, draw=draw) for draw in (1, 2)]
    heard, lower_layers = [], Encoder.lower_layers

    def count(encoder, layers, frames, precision, to_hidden_units):
        heard.append((layers, to_hidden_units, precision))
        return lower_layers(encoder, layers, frames, precision, to_hidden_units)

    monkeypatch.setattr(Encoder, "lower_layers", count)
    bench = make_bench(frozen_layers=frozen)
    found = [run(bench, spec, precision=precision, **settings) for spec in specs]
    monkeypatch.setattr(SpeakerBench, "upper_part", lambda bench, configured: bench)
    whole = [run(bench, spec, precision=precision, **settings) for spec in specs]
    if precision == "float32":  # in bfloat16, batches of other sizes round otherwise
        assert [result["macro_f1"] for result in found] == [result["macro_f1"] for result in whole]
        for result, other in zip(found, whole, strict=True):
            np.testing.assert_allclose(result["calibration"], other["calibration"], atol=1e-3)
    used = {clip for result in found for clip in result["support"]} | {clip.id for clip in bench.episodes.test}
    assert heard == [(*kept, precision)] * len(used)


@pytest.mark.parametrize("method", ["lhuc", "top-layers"])
def test_a_trial_gives_the_same_alone_and_after_others_that_left_outputs_of_lower_layers(make_bench, method):
    spec, others = spec_of(method, k=3), [spec_of(method, draw=draw, k=k) for draw, k in ((2, 4), (3, 2))]
    alone, bench = run(make_bench(frozen_layers=0), spec), make_bench(frozen_layers=0)
    for other in others:
        run(bench, other)
    assert {**run(bench, spec), "seconds": 0} == {**alone, "seconds": 0}


def test_a_small_machine_keeps_fewer_outputs_of_lower_layers_and_gives_the_same(make_bench):
    roomy, small = make_bench(), make_bench()
    small.cache.memory_share = (
        3 * roomy.encoder.lower_layers(1, roomy.frames(roomy.episodes.test[0]), "float32", True).nbytes
    )
    found = [{**run(bench, spec_of("lhuc")), "seconds": 0} for bench in (roomy, small)]
    assert found[0] == found[1]
    assert len(small._lower_outputs) < len(roomy._lower_outputs)


def test_too_few_clips_is_an_error_that_says_so(make_bench):
    with pytest.raises(VoicefitError, match="speaker anna has too few clips of anger for k = 64"):
        run(make_bench(), spec_of(k=64))
