import json
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from support import SUPPORT
from support.new_process import run_command_line
from support.run_prefinetune import SETTINGS, load_corpora
from support.tiny_models import build_wav2vec2_group_norm
from support.tones import PITCHES, build_tones
from voicefit.encoders import FrontCache, Reading, load_encoder
from voicefit.errors import VoicefitError
from voicefit.prefinetuning.prefinetune import Run, prefinetune, split_by_speaker
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.prefinetuning.trainer import Trainer, _Epoch, multi_corpus_loss

torch.set_num_threads(1)
pytestmark = pytest.mark.usefixtures("without_curves")  # `finished`, a fixture of the module, has them

SCORE = "validation_mean_macro_f1"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With dropout, so that a run depends on the state of the random generator."""
    folder_ = tmp_path_factory.mktemp("model")
    return build_wav2vec2_group_norm(folder_, hidden_dropout=0.2, attention_dropout=0.2, feat_proj_dropout=0.1)


@pytest.fixture(scope="module")
def corpora_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    build_tones(root / "three", PITCHES)
    build_tones(root / "two.1", ("angry", "neutral"))
    return root


@pytest.fixture(scope="module")
def cache_root(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(model, corpora_root, cache_root, tmp_path):
    """Pre-finetune as `run_prefinetune` does unless told otherwise; returns the folder written."""

    def start(name="out", settings=SETTINGS, seed=5, corpora=None, encoder=None, protocol="clean", **more):
        corpora = load_corpora(corpora_root) if corpora is None else corpora
        encoder = encoder or load_encoder(model)
        how = Run(**{"seed": seed, "cache_root": cache_root, **more})
        out = tmp_path / name
        return prefinetune(encoder, corpora, out, source="tiny", protocol=protocol, settings=settings, run=how)

    return start


@pytest.fixture(scope="module")
def finished(model, corpora_root, cache_root, tmp_path_factory):
    """One uninterrupted run: its folder and the encoder that it trained."""
    encoder = load_encoder(model)
    out = tmp_path_factory.mktemp("finished") / "out"
    prefinetune(
        encoder,
        load_corpora(corpora_root),
        out,
        source="tiny",
        settings=SETTINGS,
        run=Run(seed=5, cache_root=cache_root),
    )
    return out, encoder


@pytest.fixture
def trainer(model, corpora_root, cache_root):
    def make(settings=SETTINGS, seed=5):
        encoder = load_encoder(model)
        splits = [split_by_speaker(corpus, 0.3, seed) for corpus in load_corpora(corpora_root)]
        return Trainer(encoder, splits, FrontCache(encoder, cache_root), settings, seed)

    return make


# The whole run


def test_all_that_is_trainable_moves_and_the_front_end_does_not(trainer):
    made = trainer()
    before = {name: p.detach().clone() for name, p in made.encoder.named_parameters()}
    heads_before = {name: p.detach().clone() for name, p in made.heads.named_parameters()}
    made.run_epoch(lambda what, done, total: None)
    trainable = set(made.encoder.trainable_state())
    moved = {name for name, p in made.encoder.named_parameters() if not torch.equal(p, before[name])}
    assert moved == trainable
    assert moved.isdisjoint(name for name in before if "feature_extractor" in name)
    assert all(not torch.equal(p, heads_before[name]) for name, p in made.heads.named_parameters())


def test_a_corpuss_loss_reaches_its_own_head_alone(trainer):
    made = trainer()
    losses, _ = made.losses({"three": np.array([0, 1]), "two.1": np.array([0, 5])})
    losses["two.1"].backward()
    assert [head.weight.grad is not None for head in made.heads.linear] == [False, True]
    assert made.encoder.projector.weight.grad.abs().sum() > 0


def test_the_loss_of_a_batch_worked_by_hand(trainer):
    made = trainer()
    batch = {"three": np.array([0, 7, 3]), "two.1": np.array([5])}
    made.encoder.eval()
    loss = multi_corpus_loss(made.losses(batch)[0], made.heads.labels).item()
    by_hand = []
    for split, head in zip(made.splits, made.heads.linear, strict=True):
        costs = []
        for index in batch[split.name]:
            clip = split.train[index]
            pooled = made.encoder.pool([made.cache.frames(clip)])
            projected = pooled @ made.encoder.projector.weight.T + made.encoder.projector.bias
            logits = (projected @ head.weight.T + head.bias)[0].double().tolist()
            chance = math.exp(logits[split.labels.index(clip.label)]) / sum(map(math.exp, logits))
            costs.append(-math.log(chance))
        by_hand.append(sum(costs) / len(costs) / math.log(len(split.labels)))
    assert len({len(split.labels) for split in made.splits}) == 2  # or the scaling would not show
    assert loss == pytest.approx(sum(by_hand) / 2, abs=1e-5)


def test_a_corpus_without_clips_in_a_batch_has_no_loss(trainer):
    assert list(trainer().losses({"two.1": np.array([0])})[0]) == ["two.1"]


def test_chance_costs_one_whatever_the_number_of_labels():
    losses = {"two": torch.tensor(math.log(2)), "nine": torch.tensor(math.log(9))}
    labels = {"two": ["a"] * 2, "nine": ["a"] * 9}
    assert multi_corpus_loss(losses, labels).item() == pytest.approx(1)


@pytest.mark.slow(1)
def test_separable_tones_are_learnt(tmp_path):
    root = tmp_path / "corpora"
    build_tones(root / "three", PITCHES, takes=6)
    encoder = load_encoder(build_wav2vec2_group_norm(tmp_path / "model"), Reading(depth=1))
    settings = SETTINGS.model_copy(update={"projector": "random", "max_epochs": 12, "patience": 12})
    out = prefinetune(encoder, load_corpora(root), tmp_path / "out", source="tiny", settings=settings)
    history = pd.read_csv(out / "history.csv")
    assert history[SCORE].max() > 0.8  # chance is a third; seeds 0 to 2 reach 0.89 to 1
    assert history["train_loss"].iloc[-1] < 0.5 * history["train_loss"].iloc[0]


@pytest.mark.slow(3)
def test_one_seed_gives_one_result_and_leaves_the_random_state_alone(run, finished):
    torch.manual_seed(77)
    np.random.seed(77)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    again = run("again")
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    weights = (finished[0] / "model.safetensors").read_bytes()
    assert (again / "model.safetensors").read_bytes() == weights
    assert (run("other", seed=6) / "model.safetensors").read_bytes() != weights


@pytest.mark.slow(2)
@pytest.mark.parametrize("projector", ["random", "discriminant"])
def test_the_surrounding_random_state_changes_nothing(run, projector):
    settings = SETTINGS.model_copy(update={"max_epochs": 1, "projector": projector})
    weights = []
    for outside in (1, 2):
        torch.manual_seed(outside)
        np.random.seed(outside)
        weights.append((run(f"out{outside}", settings) / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_unlabelled_and_broken_clips_are_left_out_and_recorded(run, corpora_root, tmp_path):
    shutil.copytree(corpora_root / "two.1", tmp_path / "corpora" / "two")
    (tmp_path / "corpora" / "two" / "ann" / "angry" / "0.wav").write_text("not audio")
    (corpus,) = load_corpora(tmp_path / "corpora")
    last = replace(corpus.clips[-1], label=None)
    corpus = replace(corpus, clips=(*corpus.clips[:-1], last))
    out = run(settings=SETTINGS.model_copy(update={"max_epochs": 1}), corpora=[corpus])
    (entry,) = json.loads((out / "voicefit.json").read_text())["corpora"]
    assert set(entry["left_out"]) == {"ann/angry/0.wav", last.id}
    assert entry["left_out"][last.id] == "unlabelled"
    assert entry["left_out"]["ann/angry/0.wav"].startswith("unreadable: ")
    assert entry["train_clips"] + entry["validation_clips"] == len(corpus.clips) - 2


def test_the_record_says_how_the_checkpoint_came_about(finished):
    out, encoder = finished
    record = json.loads((out / "voicefit.json").read_text())
    assert record["kind"] == "prefinetuned"
    assert record["seed"] == 5
    assert record["source"] == "tiny"
    assert record["settings"] == SETTINGS.model_dump()
    assert record["depth"] == encoder.depth == 3
    assert [corpus["name"] for corpus in record["corpora"]] == ["three", "two.1"]
    history = pd.read_csv(out / "history.csv")
    assert record["best"]["epoch"] == history["epoch"][history[SCORE].idxmax()]
    assert not out.with_name("out.unfinished").exists()
    assert (out / "curves.png").stat().st_size > 1000


def test_held_out_speakers_are_never_trained_on(run, corpora_root, monkeypatch):
    heard = set()
    losses = Trainer.losses

    def listen(self, batch):
        for split in self.splits:
            heard.update((split.name, split.train[index].speaker) for index in batch.get(split.name, ()))
        return losses(self, batch)

    monkeypatch.setattr(Trainer, "losses", listen)
    out = run(settings=SETTINGS.model_copy(update={"max_epochs": 2}))
    for entry in json.loads((out / "voicefit.json").read_text())["corpora"]:
        trained_on = {speaker for corpus, speaker in heard if corpus == entry["name"]}
        assert trained_on == {"ann", "bob", "cem"} - set(entry["validation_speakers"])
        assert len(entry["validation_speakers"]) == 1


# The best epoch, and when to stop


@pytest.fixture
def scored(monkeypatch):
    """Let validation say what the test wants."""

    def set_scores(scores):
        remaining = iter(scores)

        def validate(self):
            score = next(remaining)
            return dict.fromkeys(self.targets, score), 1 - score

        monkeypatch.setattr(Trainer, "validate", validate)

    return set_scores


@pytest.mark.slow(3)
@pytest.mark.parametrize(
    ("scores", "min_improvement", "best"),
    [
        ([0.3, 0.6, 0.5, 0.4], 0.0, 2),
        ([0.3, 0.6, 0.6, 0.4], 0.0, 2),
        # Too little to be patient for is still better.
        ([0.50, 0.51, 0.40, 0.30], 0.02, 2),
    ],
)
def test_the_checkpoint_holds_the_best_epoch(run, model, scored, monkeypatch, scores, min_improvement, best):
    weights = []
    save_state = Trainer.save_state

    def keep(self, *arguments):
        weights.append(self.encoder.trainable_state() | dict(self.heads.state_dict()))
        save_state(self, *arguments)

    monkeypatch.setattr(Trainer, "save_state", keep)
    scored(scores)
    encoder = load_encoder(model)
    out = run(settings=SETTINGS.model_copy(update={"min_improvement": min_improvement}), encoder=encoder)
    assert len(weights) == 4
    assert json.loads((out / "voicefit.json").read_text())["best"]["epoch"] == best
    saved = load_file(out / "model.safetensors")
    kept = {name.removeprefix("model."): tensor for name, tensor in weights[best - 1].items() if "model." in name}
    last = {name.removeprefix("model."): tensor for name, tensor in weights[-1].items() if "model." in name}
    assert kept.keys() <= saved.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in kept.items())
    assert not any(torch.equal(saved[name], tensor) for name, tensor in last.items())
    for name, tensor in encoder.trainable_state().items():
        assert torch.equal(tensor, weights[best - 1][name])


@pytest.mark.slow(2)
@pytest.mark.parametrize(("criterion", "best"), [("macro_f1", 2), ("accuracy", 3)])
def test_the_best_epoch_goes_by_the_criterion(run, scored, criterion, best):
    scored([0.3, 0.6, 0.2, 0.4])  # the accuracy is what is left to 1
    out = run(settings=SETTINGS.model_copy(update={"criterion": criterion}))
    assert json.loads((out / "voicefit.json").read_text())["best"]["epoch"] == best


@pytest.mark.slow(3)
@pytest.mark.parametrize("train_heads", [True, False])
def test_heads_are_trained_unless_told_otherwise(run, tmp_path, train_heads):
    settings = SETTINGS.model_copy(update={"train_heads": train_heads, "patience": 100})
    saved = []
    for epochs in (1, 3):
        out = run(tmp_path / f"{epochs}", settings=settings.model_copy(update={"max_epochs": epochs, "lr": 1e-3}))
        saved.append(load_file(out / "model.safetensors"))
    assert torch.equal(saved[0]["classifier.weight"], saved[1]["classifier.weight"]) != train_heads
    assert not torch.equal(saved[0]["projector.weight"], saved[1]["projector.weight"])


@pytest.mark.slow(3)
def test_the_encoder_may_stay_as_it_was(run, tmp_path):
    untouched = SETTINGS.model_copy(update={"train_encoder": False, "lr": 0.1, "patience": 100})
    first, second = (
        load_file(
            run(tmp_path / f"{epochs}", settings=untouched.model_copy(update={"max_epochs": epochs}))
            / "model.safetensors"
        )
        for epochs in (1, 2)
    )
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_training_neither_encoder_nor_heads_is_refused():
    with pytest.raises(ValidationError, match="nothing is trained"):
        PrefinetuneSettings(train_encoder=False, train_heads=False)


@pytest.mark.slow(3)
def test_the_loss_may_go_unscaled(run):
    losses = []
    for scaling in ("log_classes", "none"):
        settings = SETTINGS.model_copy(update={"loss_scaling": scaling, "max_epochs": 1, "lr": 1e-9, "head_lr": 1e-9})
        losses.append(pd.read_csv(run(scaling, settings=settings) / "history.csv")["train_loss"][0])
    assert math.log(2) < losses[1] / losses[0] < math.log(3)  # one corpus has two labels, the other three


def test_pre_finetuning_may_be_limited_to_some_clips(run):
    out = run(settings=SETTINGS.model_copy(update={"train_clips": 6, "max_epochs": 1}))
    corpora = json.loads((out / "voicefit.json").read_text())["corpora"]
    assert [corpus["train_clips"] for corpus in corpora] == [3, 3]


def test_clips_of_one_speaker_may_be_held_out_and_heard(run):
    out = run(settings=SETTINGS.model_copy(update={"validation": "clips", "validation_share": 0.5, "max_epochs": 1}))
    for corpus in json.loads((out / "voicefit.json").read_text())["corpora"]:
        assert abs(corpus["train_clips"] - corpus["validation_clips"]) <= 1
        assert len(corpus["validation_speakers"]) > 1


@pytest.mark.parametrize(
    ("scores", "patience", "min_improvement", "epochs"),
    [
        ([0.5, 0.4, 0.4, 0.9], 2, 0.0, 3),
        ([0.5, 0.4, 0.6, 0.5, 0.5, 0.9], 2, 0.0, 5),
        ([0.5, 0.5, 0.9], 1, 0.0, 2),
        ([0.50, 0.51, 0.52, 0.9], 2, 0.02, 3),  # 0.52 is not more than 0.02 above 0.50
        ([0.50, 0.51, 0.53, 0.54, 0.54, 0.9], 2, 0.02, 5),
        ([0.1, 0.2, 0.3], 3, 0.0, 3),
    ],
)
def test_training_stops_at_the_end_of_patience(trainer, scores, patience, min_improvement, epochs):
    update = {"patience": patience, "min_improvement": min_improvement, "max_epochs": len(scores)}
    made = trainer(SETTINGS.model_copy(update=update))
    run = 0
    while not made.finished:
        made.history.append({SCORE: scores[run]})
        run += 1
    assert run == epochs


def test_the_two_learning_rates_follow_the_factor(run, monkeypatch):
    seen = []
    step = torch.optim.AdamW.step

    def watch(self, *arguments, **options):
        seen.append([group["lr"] for group in self.param_groups])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", watch)
    run(settings=SETTINGS.model_copy(update={"max_epochs": 1, "warmup": 0.4}))
    assert len(seen) == 5  # 40 clips by 8
    factors = [1 / 2, 1, 1, 2 / 3, 1 / 3]
    assert np.array(seen) == pytest.approx(np.outer(factors, [SETTINGS.lr, SETTINGS.head_lr]))


# Stopping and going on


def histories_agree(one, other):
    histories = [pd.read_csv(out / "history.csv").drop(columns="seconds") for out in (one, other)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)


@pytest.mark.slow(13)
@pytest.mark.parametrize(("save_every", "first"), [(30, ("epoch 3/4", 1)), (0, ("epoch 3/4", 3))])
def test_a_killed_run_resumes_to_the_same_bits(
    run, finished, model, corpora_root, cache_root, tmp_path, save_every, first
):
    script = SUPPORT / "run_prefinetune.py"
    arguments = [model, corpora_root, tmp_path / "out", cache_root, 3, 2, save_every]
    assert run_command_line([script, *arguments], tmp_path)[0] == -signal.SIGKILL
    assert not (tmp_path / "out").exists()

    steps = []
    out = run(resume=True, progress=lambda what, done, total: steps.append((what, done)))
    assert next(step for step in steps if step[0].startswith("epoch")) == first
    for name in ("model.safetensors", "config.json"):
        assert (out / name).read_bytes() == (finished[0] / name).read_bytes()
    histories_agree(out, finished[0])
    assert not (tmp_path / "out.unfinished").exists()


@pytest.mark.slow(2)
@pytest.mark.parametrize("last", [1, 5])  # of five steps: after the fifth the epoch is not validated yet
def test_a_run_stopped_within_an_epoch_resumes_to_the_same_bits(run, finished, last):
    def stop(what, done, total):
        if what.startswith("epoch 2/") and done == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop, save_every=0)
    out = run(resume=True)
    assert (out / "model.safetensors").read_bytes() == (finished[0] / "model.safetensors").read_bytes()
    histories_agree(out, finished[0])


def test_an_unfinished_run_knows_when_its_audio_has_changed(run, corpora_root, tmp_path):
    root = Path(shutil.copytree(corpora_root, tmp_path / "corpora"))

    def stop(what, done, total):
        if what.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(corpora=load_corpora(root), progress=stop)
    corpus = load_corpora(root)[0]
    first, second = (clip.path for clip in corpus.clips[:2])
    shutil.copy(second, first)
    words = rf"out\.unfinished: was begun when corpus {corpus.name} had other audio; remove it to start afresh"
    with pytest.raises(VoicefitError, match=words):
        run(corpora=load_corpora(root), resume=True)
    shutil.rmtree(tmp_path / "out.unfinished")
    out = run(corpora=load_corpora(root))
    recorded = json.loads((out / "voicefit.json").read_text())["corpora"]
    assert len({record["audio"] for record in recorded}) == len(recorded)


def test_only_the_same_run_is_continued(run, model, corpora_root, tmp_path):
    def stop(what, done, total):
        if what.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    unfinished = tmp_path / "out.unfinished"
    with pytest.raises(VoicefitError, match=f"{unfinished}.*--resume"):
        run()
    with pytest.raises(VoicefitError, match=f"{unfinished}: was begun with another"):
        run(seed=6, resume=True)
    with pytest.raises(VoicefitError, match="was begun with another"):
        run(settings=SETTINGS.model_copy(update={"lr": 1e-3}), resume=True)
    with pytest.raises(VoicefitError, match="was begun with another"):
        run(corpora=load_corpora(corpora_root)[:1], resume=True)
    other_rest = load_encoder(model)
    other_rest.model.base_model.encoder.layers[1].final_layer_norm.bias.data += 1
    assert other_rest.front_key() == load_encoder(model).front_key()
    with pytest.raises(VoicefitError, match="was begun with another"):
        run(encoder=other_rest, resume=True)


def test_dropout_makes_the_resumed_bits_depend_on_the_random_state(trainer):
    """Or the test above would not show that it is carried over."""
    made = trainer()
    made.encoder.train()
    batch = {"three": np.arange(4)}
    assert made.losses(batch)[0]["three"].item() != made.losses(batch)[0]["three"].item()


def test_a_run_stopped_before_its_first_epoch_can_be_resumed(run, finished):
    def stop(what, done, total):
        if what.startswith("epoch 1/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    out = run(resume=True)
    assert (out / "model.safetensors").read_bytes() == (finished[0] / "model.safetensors").read_bytes()


@pytest.mark.slow(2)
@pytest.mark.parametrize("objective", ["dann", "supcon", "episodic"])
def test_an_objective_moves_the_weights_and_is_resumed_to_the_same_bits(run, finished, objective):
    def stop(what, done, total):
        if what.startswith("epoch 2/"):
            raise KeyboardInterrupt

    settings = SETTINGS.model_copy(update={"objective": objective})
    with pytest.raises(KeyboardInterrupt):
        run(settings=settings, progress=stop)
    out = run(settings=settings, resume=True)
    weights = (out / "model.safetensors").read_bytes()
    shutil.rmtree(out)
    assert (run(settings=settings) / "model.safetensors").read_bytes() == weights
    assert (finished[0] / "model.safetensors").read_bytes() != weights


def test_a_damaged_state_is_named(run, tmp_path):
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "state.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(VoicefitError, match=r"state\.safetensors: is damaged"):
        run(resume=True)


def test_an_output_that_exists_is_refused_before_any_work(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(VoicefitError, match="exists already"):
        run(progress=lambda what, done, total: pytest.fail("work was done"))
    assert (tmp_path / "out" / "mine").read_text() == "1"


@pytest.mark.slow(1)
def test_what_the_cache_takes_is_told_before_the_front_end_runs(run, tmp_path):
    events = []
    more = {"cache_root": tmp_path / "cache", "notify": events.append}
    run(progress=lambda what, done, total: events.append(what), **more)
    (line,) = (event for event in events if event.startswith("front-end cache: "))
    entries = list((tmp_path / "cache").rglob("*.npy"))  # fewer than clips: some recordings are the same
    assert line.startswith(f"front-end cache: {len(entries)} more clips take ")
    assert set(events[: events.index(line)]) == {"looking in the front-end cache"}
    events.clear()
    run("again", **more)
    assert not [event for event in events if event.startswith("front-end cache: ")]


def test_a_disk_without_room_for_the_cache_is_an_error_and_a_limit_helps(run, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(VoicefitError, match="the disk is too small for the front-end cache: "):
        run(cache_root=tmp_path / "cache")
    monkeypatch.setenv("VOICEFIT_CACHE_LIMIT", "0")
    out = run(cache_root=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert (out / "model.safetensors").read_bytes() == (finished[0] / "model.safetensors").read_bytes()


@pytest.mark.parametrize("names", [("same", "same"), ("a/b",), ("a+b",), ("",), ()])
def test_names_that_cannot_be_told_apart_are_refused(run, corpora_root, names):
    (corpus, *_) = load_corpora(corpora_root)
    with pytest.raises(VoicefitError):
        run(
            corpora=[replace(corpus, name=name) for name in names],
            progress=lambda what, done, total: pytest.fail("work was done"),
        )


def test_settings_are_checked():
    for wrong in (
        {"lr": 0},
        {"sampling": 0.0},
        {"sampling": "even"},
        {"batch_size": 0},
        {"validation_share": 1},
    ):
        with pytest.raises(ValidationError):
            PrefinetuneSettings(**wrong)
    with pytest.raises(VoicefitError, match="clean and paper"):
        PrefinetuneSettings.for_protocol("papre")
    paper = PrefinetuneSettings.for_protocol("paper")
    assert (paper.lr, paper.batch_size, paper.min_improvement, paper.projector) == (3e-5, 4, 0.02, "random")


def test_weights_of_layers_are_learnt_with_the_heads(run, model):
    encoder = load_encoder(model, Reading(weighted_layers=True))
    before = {name: tensor.clone() for name, tensor in encoder.trainable_state().items()}
    run(encoder=encoder, settings=SETTINGS.model_copy(update={"train_encoder": False, "head_lr": 0.1}))
    changed = {name for name, now in encoder.trainable_state().items() if not torch.equal(now, before.get(name, now))}
    assert changed - {"model.projector.weight", "model.projector.bias"} == {"model.layer_weights"}


def test_an_epoch_keeps_its_form_in_a_state_file():
    record = {"losses": {"": [0.9, 0.8], "a": [1.0, 1.1], "b": [0.5]}, "seconds": 2.5}
    epoch = _Epoch.from_json(record)
    assert epoch.to_json() == record
    assert (epoch.steps, epoch.total_losses, epoch.corpus_losses["b"]) == (2, [0.9, 0.8], [0.5])


def test_a_corpus_with_one_clip_of_each_speaker_and_label_is_told(run, corpora_root):
    three, two = load_corpora(corpora_root)
    single = {(clip.speaker, clip.label): clip for clip in three.clips}
    told = []
    run(corpora=[replace(three, clips=tuple(single.values())), two], notify=told.append)
    assert [words for words in told if "two clips" in words] == [
        f"{three.name}: no speaker has two clips of one label to train on; prior and joint may do worse than head with "
        "such corpora alone"
    ]
