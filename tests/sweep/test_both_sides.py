"""Audio on both sides of a sweep, and what a run knows of its audio."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
import soundfile

from support.layouts import write_noise
from voicefit.corpora import CORPORA, folder
from voicefit.errors import VoicefitError
from voicefit.report.build import write_report
from voicefit.sweep import dry_run, make_plan, merge_runs, run_sweep
from voicefit.sweep.both_sides import describe_known, learnt_from
from voicefit.sweep.loaded_plan import LoadedPlan
from voicefit.sweep.run_directory import RunDirectory
from voicefit.sweep.run_lock import LOCK

GRID = [{"starts": ["none", "alpha"], "methods": ["prototype"], "k": [2], "draws": 1}]
NONE = [{"starts": ["none"], "methods": ["prototype"], "k": [2], "draws": 1}]


@pytest.fixture
def corpora(raw_plan, tmp_path):
    """Copies to change: alpha and voices."""
    paths = {**raw_plan["corpora"], **raw_plan["targets"]}
    return {name: Path(shutil.copytree(paths[name], tmp_path / name)) for name in ("alpha", "voices")}


@pytest.fixture
def plan_of(raw_plan, corpora):
    def make(grid=GRID, target=None, **changes):
        paths = {"corpora": {"alpha": str(corpora["alpha"])}, "targets": {"voices": str(target or corpora["voices"])}}
        return make_plan({**raw_plan, **paths, "grid": grid, **changes}, "plan")

    return make


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def encode(path, other):
    samples, rate = soundfile.read(path, dtype="int16")
    other.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(other, samples, rate)


@pytest.mark.parametrize("how", ["the same", "linked"])
def test_a_target_with_files_that_are_trained_on_is_refused(corpora, plan_of, tmp_path, how):
    target = corpora["alpha"] if how == "the same" else tmp_path / "t"
    if how == "linked":
        target.symlink_to(corpora["alpha"])
    for act in (dry_run, lambda plan: run_sweep(plan, tmp_path / "run")):
        with pytest.raises(VoicefitError, match=r"targets\.voices holds clips of corpora\.alpha, .* would not be new"):
            act(plan_of(target=target))
    assert not (tmp_path / "run").exists()
    dry_run(plan_of(NONE, target))  # alpha is not trained on


@pytest.mark.slow(1)
@pytest.mark.parametrize("how", ["copied", "in another encoding"])
def test_audio_of_a_target_that_is_trained_on_is_told_and_recorded(corpora, plan_of, tmp_path, cache, how):
    for path in sorted(corpora["alpha"].glob("*/*/*.wav")):
        other = corpora["voices"] / path.relative_to(corpora["alpha"]).with_name(f"x{path.stem}.flac")
        if how == "copied":
            shutil.copy(path, other.with_suffix(".wav"))
        else:
            encode(path, other)
    (line,) = dry_run(plan_of()).remarks
    what = "bytes as" if how == "copied" else "samples as"
    assert line.startswith(
        "warning: targets.voices holds audio that starting points are trained on, 12 clips, the first: "
    )
    assert (
        f"has the same {what} anna/anger/0.wav of alpha, which is pre-finetuned on. Such speakers are not new" in line
    )
    told = []
    run_sweep(plan_of(), tmp_path / "run", cache_root=cache, notify=told.append)
    assert line in told
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["same_audio"]["voices"]) == 12
    assert not dry_run(plan_of(NONE)).remarks  # alpha is not trained on


def test_audio_that_is_twice_in_a_target_is_told_and_recorded(corpora, plan_of, tmp_path, cache):
    shutil.copy(corpora["voices"] / "anna" / "calm" / "0.wav", corpora["voices"] / "anna" / "calm" / "again.wav")
    words = "voices: 1 clip with the audio of another one, the first: anna/calm/again.wav has the same bytes as "
    assert dry_run(plan_of(NONE)).remarks[0].startswith(words + "anna/calm/0.wav; one may be")
    for _ in range(2):  # the second time it is read from the record
        told = []
        run_sweep(plan_of(NONE), tmp_path / "run", cache_root=cache, notify=told.append)
        assert len([line for line in told if line.startswith(words)]) == 1
    assert list(json.loads((tmp_path / "run" / "run.json").read_text())["same_audio"]) == ["voices"]


@pytest.fixture
def run(plan_of, tmp_path, cache):
    run_sweep(plan_of(), tmp_path / "run", cache_root=cache)
    return tmp_path / "run"


def change(corpus):
    for path in sorted(corpus.glob("*/calm/*.wav")):
        stat = path.stat()
        write_noise(path, 77, seconds=0.1 + 0.01 * int(path.stem))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(("name", "count"), [("alpha", 4), ("voices", 10)])
def test_a_run_knows_when_its_audio_has_changed(run, corpora, plan_of, cache, name, count):
    change(corpora[name])
    words = (
        rf"begun when corpus {name} had other usable clips than now \({count} have other audio, the first is anna/calm"
    )
    for plan in (plan_of(), plan_of([*GRID, {**GRID[0], "k": [4]}])):
        with pytest.raises(VoicefitError, match=words):
            run_sweep(plan, run, cache_root=cache)


def test_a_run_begins_anew_where_it_is_asked_to_and_keeps_what_was_there(run, corpora, plan_of, cache):
    with RunDirectory(run).open_store() as store:
        before = store.trials().set_index("key")
    change(corpora["alpha"])
    told = []
    again = run_sweep(plan_of(), run, cache_root=cache, begin_anew=True, notify=told.append)
    assert (again.skipped, again.finished) == (0, len(before))
    (aside,) = (run / "earlier").iterdir()
    assert any(line.endswith(f"begins anew, and what there was is in {aside}") for line in told)
    with RunDirectory(aside).open_store() as store:
        assert store.trials().set_index("key").equals(before)
    assert (aside / "checkpoints" / "tiny" / "alpha" / "config.json").is_file()
    assert run_sweep(plan_of(), run, cache_root=cache, begin_anew=True).skipped == len(before)  # nothing has changed
    assert len(list((run / "earlier").iterdir())) == 1


@pytest.mark.parametrize(("name", "clips_read"), [("alpha", 0), ("alpha", 1), ("voices", 2)])
def test_a_corpus_that_vanishes_while_it_is_read_is_no_smaller_corpus(plan_of, corpora, tmp_path, name, clips_read):
    path, away = corpora[name], tmp_path / "away"

    def take_away(what, done, total):
        step = f"front end on {name}" if clips_read else "looking in the front-end cache"
        if (what, done) == (step, max(clips_read, 1)) and path.exists():
            path.rename(away)

    with pytest.raises(VoicefitError, match=f"corpus {name}: files vanished or came while they were read, as "):
        run_sweep(plan_of(), tmp_path / "out", cache_root=tmp_path / "cache", progress=take_away)
    assert not (tmp_path / "out").exists()
    away.rename(path)
    assert run_sweep(plan_of(), tmp_path / "out", cache_root=tmp_path / "cache").failed == 0
    record = RunDirectory(tmp_path / "out").read_record()
    assert [corpus["left_out"] for corpus in record["corpora"].values()] == [{}, {}]


def test_a_run_knows_what_was_added_taken_away_and_labelled_otherwise(run, corpora, plan_of, cache):
    calm = corpora["voices"] / "anna" / "calm"
    (calm / "0.wav").rename(calm / "new.wav")
    with pytest.raises(VoicefitError, match=r"\(1 are new, .*anna/calm/new\.wav; 1 are gone .*anna/calm/0\.wav\)"):
        run_sweep(plan_of(), run, cache_root=cache)


def test_a_checkpoint_knows_when_its_audio_has_changed(run, corpora, plan_of, cache):
    change(corpora["alpha"])
    record = json.loads((run / "run.json").read_text())
    record["corpora"]["alpha"]["digest"] = None  # as if the run had not needed it
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(VoicefitError, match=r"tiny/alpha: was made when corpus alpha had other audio; remove it"):
        run_sweep(plan_of([*GRID, {**GRID[0], "k": [4]}]), run, cache_root=cache)


@pytest.mark.parametrize("file", ["model.safetensors", "prior.safetensors"])
def test_a_torn_checkpoint_is_told_and_made_again_once_it_is_removed(run, plan_of, cache, file):
    folder = run / "checkpoints" / "tiny" / "alpha"
    os.truncate(folder / file, (folder / file).stat().st_size // 2)
    more = plan_of([*GRID, {**GRID[0], "k": [4]}])
    with pytest.raises(VoicefitError, match=rf"{file}: is damaged.*; remove \S*alpha, and the same command makes it"):
        run_sweep(more, run, cache_root=cache)
    shutil.rmtree(folder)
    again = run_sweep(more, run, cache_root=cache)
    assert (again.skipped, again.finished, again.failed) == (12, 12, 0)


def test_an_encoder_of_other_weights_is_refused(run, plan_of, raw_plan, cache, tmp_path):
    moved = Path(shutil.copytree(raw_plan["encoders"]["tiny"]["source"], tmp_path / "encoder"))
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.5}))
    encoders = {"tiny": {**raw_plan["encoders"]["tiny"], "source": str(moved)}}
    with pytest.raises(VoicefitError, match="begun when encoder tiny had other weights or settings than now"):
        run_sweep(plan_of(encoders=encoders), run, cache_root=cache)


def test_a_run_goes_on_where_everything_has_been_moved(run, corpora, plan_of, raw_plan, cache, tmp_path):
    away = tmp_path / "away"
    for path in (*corpora.values(), run):
        shutil.move(path, away / path.name)
    encoder = shutil.copytree(raw_plan["encoders"]["tiny"]["source"], away / "encoder")
    changes = {
        "corpora": {"alpha": str(away / "alpha")},
        "encoders": {"tiny": {**raw_plan["encoders"]["tiny"], "source": str(encoder)}},
    }
    plan = plan_of([*GRID, {**GRID[0], "k": [4]}], away / "voices", **changes)
    again = run_sweep(plan, away / "run", cache_root=cache)
    assert (again.skipped, again.finished) == (12, 12)
    assert run_sweep(plan, away / "run", cache_root=cache).skipped == 24  # keys are still those of the first place
    assert merge_runs([away / "run"], away / "merged") == 24
    (away / "voices" / "anna" / "calm" / "0.wav").write_bytes(
        (away / "voices" / "anna" / "calm" / "1.wav").read_bytes()
    )
    with pytest.raises(VoicefitError, match="corpus voices had other usable clips than now"):
        run_sweep(plan, away / "run", cache_root=cache)


def test_a_run_of_0_1_0_that_was_moved_is_refused_as_its_audio_is_not_known(run, corpora, plan_of, cache, tmp_path):
    record = json.loads((run / "run.json").read_text())
    for corpus in record["corpora"].values():
        del corpus["audio"]
    for name in ("encoders", "same_audio", "not_run"):
        del record[name]
    (run / "run.json").write_text(json.dumps(record))
    (run / "clips.csv").unlink()
    assert run_sweep(plan_of(), run, cache_root=cache).skipped == 12
    (run / "run.json").write_text(json.dumps(record))
    shutil.move(corpora["voices"], tmp_path / "away")
    with pytest.raises(VoicefitError, match="differs in targets"):
        run_sweep(plan_of(target=tmp_path / "away"), run, cache_root=cache)


def test_a_run_of_0_1_0_knows_files_of_another_size(run, corpora, plan_of, cache):
    record = json.loads((run / "run.json").read_text())
    for corpus in record["corpora"].values():
        del corpus["audio"]
    (run / "run.json").write_text(json.dumps(record))
    write_noise(corpora["voices"] / "anna" / "calm" / "0.wav", 3, seconds=0.5)
    with pytest.raises(VoicefitError, match="corpus voices had other usable clips than now"):
        run_sweep(plan_of(), run, cache_root=cache)


def test_a_call_that_does_not_use_a_corpus_keeps_what_the_run_knows_of_it(run, corpora, plan_of, cache):
    record, clips = (json.loads((run / "run.json").read_text()), (run / "clips.csv").read_text())
    run_sweep(plan_of([{**NONE[0], "k": [4]}]), run, cache_root=cache)  # alpha is not used
    after = json.loads((run / "run.json").read_text())
    assert after["corpora"] == record["corpora"] and after["corpora"]["alpha"]["audio"]
    assert after["encoders"] == record["encoders"]
    assert sorted((run / "clips.csv").read_text().splitlines()) == sorted(clips.splitlines())
    change(corpora["alpha"])
    with pytest.raises(VoicefitError, match=r"begun when corpus alpha had other usable clips than now \(4 have other"):
        run_sweep(plan_of(), run, cache_root=cache)


def test_the_same_audio_that_an_earlier_call_found_stays_on_record(corpora, plan_of, tmp_path, cache):
    shutil.copy(corpora["alpha"] / "anna" / "calm" / "0.wav", corpora["voices"] / "anna" / "calm" / "again.wav")
    run_sweep(plan_of(), tmp_path / "run", cache_root=cache)
    found = json.loads((tmp_path / "run" / "run.json").read_text())["same_audio"]
    run_sweep(plan_of([{**NONE[0], "k": [4]}]), tmp_path / "run", cache_root=cache)  # alpha is not used
    assert json.loads((tmp_path / "run" / "run.json").read_text())["same_audio"] == found
    assert len(found["voices"]) == 1


def test_a_lock_that_was_lost_while_clips_were_prepared_ends_the_sweep(run, corpora, plan_of, cache, monkeypatch):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    change(corpora["alpha"])
    fill = LoadedPlan.fill_cache
    monkeypatch.setattr("voicefit.sweep.run_lock.BEAT_S", 0.01)

    def fill_and_lose(self, *arguments):
        fill(self, *arguments)
        (run / LOCK).unlink()
        time.sleep(0.5)

    monkeypatch.setattr(LoadedPlan, "fill_cache", fill_and_lose)
    with pytest.raises(VoicefitError, match="its lock was removed; this sweep ends"):
        run_sweep(plan_of(), run, cache_root=cache, begin_anew=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_target_that_an_encoder_has_learnt_from_is_told():
    targets = {"mine": vars(folder.INFO), "voices": vars(CORPORA["emovo"].info), "others": vars(CORPORA["nemo"].info)}
    (line,) = describe_known({"mini": learnt_from("mini"), "own": [folder.INFO.title]}, targets)
    assert line.startswith(
        "warning: mini learnt from EMOVO before this plan: the speakers of targets.voices are not new"
    )


@pytest.mark.slow(2)
def test_a_run_records_what_its_encoders_have_learnt_from_and_tells(corpora, plan_of, raw_plan, cache, tmp_path):
    source = Path(shutil.copytree(raw_plan["encoders"]["tiny"]["source"], tmp_path / "learnt"))
    record = {"corpora": [{"title": CORPORA["emovo"].info.title}], "frozen_layers": 1, "front_end": {}}
    (source / "voicefit.json").write_text(json.dumps(record), encoding="utf-8")
    plan = plan_of(NONE, encoders={"tiny": {**raw_plan["encoders"]["tiny"], "source": str(source)}})
    run_sweep(plan, tmp_path / "run", cache_root=cache)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())
    assert recorded["encoders"]["tiny"]["learnt_from"] == ["EMOVO"]
    recorded["corpora"]["voices"] |= {"title": "EMOVO", "homepage": "https://example.org"}
    assert "warning: tiny learnt from EMOVO before this plan" in write_report(
        tmp_path, recorded, RunDirectory(tmp_path / "run").open_store().trials()
    ).read_text(encoding="utf-8")
