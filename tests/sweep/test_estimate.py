import pytest

from voicefit.adaptation import published
from voicefit.cli.sweeps import _print_dry_run
from voicefit.corpora import load_corpus
from voicefit.heads import learn_prior
from voicefit.sweep import estimate as module
from voicefit.sweep.estimate import Estimate, estimate_time
from voicefit.sweep.plan import expand_trials, make_plan
from voicefit.sweep.preview import DryRun

PROBES = 8  # clips that are measured
CLIPS = {"alpha": 12, "beta": 12, "voices": 30}


ALL_CLIPS = sum(CLIPS.values())


def estimate(raw_plan, grid, uncached=ALL_CLIPS, **changes):
    plan = make_plan({**raw_plan, **changes, "grid": [grid]}, "plan")
    corpora = {name: load_corpus(name, path) for name, path in plan.corpora.items()}
    targets = {name: load_corpus(name, path) for name, path in plan.targets.items()}
    keys = {("tiny", start): start for start in plan.starts(plan.grid[0])}
    trials = expand_trials(plan, list(targets.values()), keys)
    return estimate_time(plan, corpora, targets, trials, {"tiny": uncached}), len(trials)


def test_every_stage_takes_time_and_the_total_is_their_sum(raw_plan):
    found, _ = estimate(raw_plan, {"k": [2, 4], "methods": ["full", "head", "prototype"], "draws": 1})
    assert min(found.front_end, found.prefinetuning, found.trials) > 0
    assert found.total == found.front_end + found.prefinetuning + found.trials


def test_steps_of_one_second_add_up_as_by_hand(raw_plan, monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda action, is_warm=False: 1.0)
    grid = {"starts": ["none", "all", "beta"], "methods": ["head", "full"], "k": [2, 4], "draws": 2}
    found, trials = estimate(raw_plan, grid, prefinetune={"max_epochs": 7})
    assert trials == 3 * 2 * 3 * 2 * 2 * 2
    pooling = 3 * CLIPS["voices"] / PROBES  # once for each start
    test_clips = 3 * 2  # a third of five, rounded, of each label; pooled again by each trial that trains
    together = 3 * 2  # trials of `head` in a batch: labels and draws
    fits_and_scores = 2 * (trials / 2 + trials / 2 / together)
    two_shots = trials / 4 / 2  # a step of `full` on two shots takes half of one on four, which is timed
    seconds = pytest.approx(pooling + fits_and_scores - two_shots + trials / 2 * test_clips / PROBES)
    assert found == Estimate(
        front_end=pytest.approx(sum(CLIPS.values()) / PROBES),
        prefinetuning=pytest.approx(7 * (24 + 12) / PROBES),
        trials=seconds,
        trials_by_patience=seconds,
    )


def test_more_labels_than_the_test_clips_of_the_guess_are_scored_too():
    assert module._scoring_seconds(together=2, classes=200) > 0


def test_the_seconds_of_a_method_lie_between_those_of_its_fewest_and_most_shots(raw_plan, monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda action, is_warm=False: 0.0)
    monkeypatch.setattr(module, "_fit_seconds", lambda method, encoder, shots, together, is_warm: len(shots.targets))
    found, trials = estimate(raw_plan, {"starts": ["none"], "methods": ["head"], "k": [2, 3, 4], "draws": 1})
    assert trials == 2 * 3 * 3
    assert found.trials == 2 * 3 * (2 + 3 + 4)


def test_the_fewest_shots_of_a_method_warm_up_for_the_most(raw_plan, monkeypatch):
    timed = []
    monkeypatch.setattr(
        module,
        "_fit_seconds",
        lambda method, encoder, shots, together, is_warm: timed.append((len(shots.targets), is_warm)) or 0.0,
    )
    estimate(raw_plan, {"starts": ["none"], "methods": ["head"], "k": [2, 3, 4], "draws": 1})
    estimate(raw_plan, {"starts": ["none"], "methods": ["head"], "k": [3], "draws": 1})
    assert timed == [(2, False), (4, True), (3, False)]


@pytest.mark.parametrize(("is_warm", "calls"), [(False, 2), (True, 1)])
def test_what_is_warm_is_timed_at_its_first_call(is_warm, calls):
    made = []
    assert module._seconds(lambda: made.append(1), is_warm) >= 0
    assert len(made) == calls


def test_clips_that_are_cached_take_no_time(raw_plan, monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda action, is_warm=False: 1.0)
    grid = {"starts": ["none"], "methods": ["head"], "k": [2], "draws": 1}
    assert estimate(raw_plan, grid)[0].front_end > 0
    assert estimate(raw_plan, grid, uncached=0)[0].front_end == 0


def test_several_emotions_and_recordings_without_labels_are_timed_as_such(raw_plan, monkeypatch):
    shots = []

    def keep(method, encoder, given, together, is_warm):
        shots.append((method.name, given.classes, len(given.unlabelled)))
        return 0.0

    monkeypatch.setattr(module, "_fit_seconds", keep)
    grid = {"starts": ["all"], "methods": ["joint"], "tasks": ["one-vs-rest", "multiclass"], "k": [6], "draws": 1}
    estimate(raw_plan, grid, methods={"joint": {"unlabelled": 1000}})
    pool = 15 - 6  # a speaker's clips without those that are tested
    assert set(shots) == {("joint", 2, pool), ("joint", 3, pool)}


def test_clips_that_cannot_be_read_are_passed_over_and_without_any_there_is_no_estimate(raw_plan, tmp_path):
    for label in ("anger", "calm"):
        (tmp_path / "anna" / label).mkdir(parents=True)
        for take in range(6):
            (tmp_path / "anna" / label / f"{take}.wav").write_text("not audio")
    broken = {"targets": {"voices": str(tmp_path)}}
    grid = {"starts": ["none"], "k": [2], "draws": 1}
    assert estimate(raw_plan, grid, **broken)[0].total > 0
    assert estimate(raw_plan, grid, **broken, corpora={})[0] is None


@pytest.mark.parametrize("method", ["zero-shot", "prior", "kl", "lhuc"])
def test_methods_that_ask_the_corpora_can_be_estimated(raw_plan, method):
    found, _ = estimate(raw_plan, {"starts": ["all"], "k": [2, 4], "methods": [method], "draws": 1})
    assert found.trials > 0


def test_a_method_that_picks_its_epoch_takes_from_patience_and_one_to_all_its_epochs(raw_plan, monkeypatch):
    monkeypatch.setattr(module, "_seconds", lambda action, is_warm=False: 1.0)
    grid = {"starts": ["none"], "methods": ["published"], "k": [2, 4], "draws": 1}
    found, trials = estimate(raw_plan, grid, protocol="paper", methods={"published": {"epochs": 50, "patience": 9}})
    pooling = CLIPS["voices"] / PROBES
    once = trials * (1 + 3 * 2 / PROBES)  # scores, and two test clips of each of three labels
    epoch = trials * (1 + 3 * 1 / PROBES)  # a fit of one epoch, and one validation clip of each label
    assert found.trials_by_patience == pytest.approx(pooling + once + 10 * epoch)
    assert found.trials == pytest.approx(pooling + once + 50 * epoch)
    assert found.total == found.front_end + found.trials


def test_each_trial_counts_the_epochs_of_its_own_shots_and_one_is_timed(raw_plan, monkeypatch):
    epochs, run_epoch = [], published._run_epoch

    def time_as_one(action, is_warm=False):
        action()
        return 1.0

    monkeypatch.setattr(published, "_FEW_SHOTS", 2)
    monkeypatch.setattr(published, "_run_epoch", lambda *arguments: epochs.append(1) or run_epoch(*arguments))
    monkeypatch.setattr(module, "_seconds", time_as_one)
    grid = {"starts": ["none"], "methods": ["published"], "k": [2, 4], "draws": 1}
    settings = {"epochs": 150, "patience": 30, "shorter_above_8": True}
    found, trials = estimate(raw_plan, grid, protocol="paper", methods={"published": settings})
    assert trials == 2 * 6
    assert len(epochs) == 2  # at 2 and at 4 shots
    epoch = 1 + 3 * 1 / PROBES
    assert found.trials - found.trials_by_patience == pytest.approx(6 * epoch * ((150 - 31) + (50 - 6)))


@pytest.mark.parametrize(
    ("shortest", "said"), [(1740, "29 min if the first epoch is the best one, 2.5 h at most"), (9000, "2.5 h")]
)
def test_the_command_line_tells_how_long_trials_take_if_they_end_early_and_at_most(capsys, shortest, said):
    _print_dry_run(DryRun(36, ["text/all"], Estimate(50, 3060, 9000, shortest), None))
    printed = capsys.readouterr().out.splitlines()
    assert f"time, trials: {said}" in printed
    assert "time, in all, at most: 3.4 h" in printed


def test_a_prior_that_is_timed_is_as_wide_as_one_that_is_learnt():
    assert module._DISCRIMINANTS == learn_prior.WIDTH
