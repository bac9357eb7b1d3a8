from voicefit.corpora import load_corpus
from voicefit.sweep.estimate import estimate_time
from voicefit.sweep.plan import expand_trials, make_plan


def estimate(raw_plan, grid, **changes):
    plan = make_plan({**raw_plan, **changes, "grid": [grid]}, "plan")
    corpora = {name: load_corpus(name, path) for name, path in plan.corpora.items()}
    targets = {name: load_corpus(name, path) for name, path in plan.targets.items()}
    keys = {("tiny", start): start for start in plan.starts(plan.grid[0])}
    return estimate_time(plan, corpora, targets, expand_trials(plan, list(targets.values()), keys))


def test_every_stage_takes_time_and_the_total_is_their_sum(raw_plan):
    found = estimate(raw_plan, {"k": [2, 4], "methods": ["full", "head", "prototype"], "draws": 1})
    assert min(found.front_end, found.prefinetuning, found.trials) > 0
    assert found.total == found.front_end + found.prefinetuning + found.trials


def test_without_pre_finetuning_none_is_counted(raw_plan):
    assert estimate(raw_plan, {"starts": ["none"], "k": [2], "draws": 1}).prefinetuning == 0


def test_a_hundred_times_the_work_takes_longer(raw_plan):
    few = estimate(raw_plan, {"starts": ["all"], "k": [4], "draws": 1})
    many = estimate(
        raw_plan,
        {"starts": ["all"], "k": [4], "draws": 100},
        prefinetune={"max_epochs": 100, "batch_size": 4},
    )
    assert many.trials > few.trials
    assert many.prefinetuning > few.prefinetuning


def test_clips_that_cannot_be_read_are_passed_over_and_without_any_there_is_no_estimate(raw_plan, tmp_path):
    for corpus in ("alpha", "voices"):
        for label in ("anger", "calm"):
            for take in range(6):
                path = tmp_path / corpus / "anna" / label / f"{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("not audio")
    broken = {"targets": {"voices": str(tmp_path / "voices")}}
    grid = {"starts": ["none"], "k": [2], "draws": 1}
    assert estimate(raw_plan, grid, **broken).total > 0
    assert estimate(raw_plan, grid, **broken, corpora={}) is None
