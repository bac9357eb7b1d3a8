import json
import sys
import tomllib
from importlib.resources import files
from itertools import count, product

import pytest

from support.layouts import (
    NEMO_EMOTIONS,
    RAVDESS_EMOTIONS,
    build_emodb,
    build_emovo,
    build_fsdd,
    build_tess,
    write_noise,
)
from support.layouts.esd import build_esd
from support.layouts.iemocap import build_iemocap
from support.layouts.mandarin import build_mandarin
from support.layouts.msp_improv import build_msp_improv
from support.layouts.msp_podcast import build_msp_podcast
from support.tiny_models import build_wav2vec2_group_norm
from voicefit.cli.app import main
from voicefit.errors import VoicefitError
from voicefit.sweep import TrialStore, dry_run, make_plan, read_plan, read_preset, run_sweep
from voicefit.sweep.plan import Grid
from voicefit.sweep.presets import preset_names

pytestmark = [pytest.mark.slow(5), pytest.mark.usefixtures("without_curves")]

FOLDERS = {
    "iemocap": "IEMOCAP_full_release",
    "msp-improv": "MSP-IMPROV",
    "msp-podcast": "MSP-PODCAST",
    "mandarin": "man_aff_spch",
    "esd": "ESD",
}
CODE_NAMES = {
    "iemocap": "iemocap-all",
    "msp-improv": "msp-improv-acted",
    "msp-podcast": "msp-podcast-train",
    "mandarin": "mandarin-phrases",
}
GRIDS = {"paper": 33_600, "paper-code": 33_600, "clean": 16 * 3 * 7 * 20 * 5 * 10}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """The publication's four corpora in miniature, and as much of ESD's layout as k = 64 needs, without sound."""
    root = tmp_path_factory.mktemp("data")
    build_iemocap(root)
    build_msp_improv(root / "MSP-IMPROV")
    build_msp_podcast(root / "MSP-PODCAST")
    build_mandarin(root)
    for speaker in (f"{number:04}" for number in range(1, 21)):
        for block, emotion in enumerate(("Neutral", "Angry", "Happy", "Sad", "Surprise")):
            for split, places in (("evaluation", [1]), ("test", [21]), ("train", range(51, 83))):
                folder = root / "ESD" / speaker / emotion / split
                folder.mkdir(parents=True)
                for place in places:
                    (folder / f"{speaker}_{350 * block + place:06}.wav").touch()
    return root


def paths_of(preset, root):
    """Where the corpora of one of the publication's presets are, by their names there."""
    names = CODE_NAMES if preset == "paper-code" else {}
    return {names.get(name, name): root / folder for name, folder in FOLDERS.items()}


@pytest.fixture
def no_data(monkeypatch):
    """Nothing but options says where the corpora are."""
    monkeypatch.delenv("VOICEFIT_DATA", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(("preset", "trials"), GRIDS.items())
def test_the_publications_grid_is_counted_with_nothing_but_the_corpora(preset, trials, corpora, no_data):
    found = dry_run(read_preset(preset, corpora=paths_of(preset, corpora)))
    assert found.trials == trials
    assert len(found.prefinetunings) == 15
    assert found.estimate is None
    assert found.unknown


def call(monkeypatch, capsys, *arguments):
    """The exit code of `voicefit sweep`, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["voicefit", "sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr()


def test_the_command_line_counts_the_publications_trials(corpora, monkeypatch, capsys):
    monkeypatch.setenv("VOICEFIT_DATA", str(corpora))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, printed = call(monkeypatch, capsys, "--preset", "paper", "--dry-run")
    assert not code
    assert "trials: 33,600" in printed.out
    assert "pre-finetunings: 15" in printed.out
    assert "time: unknown" in printed.out


def test_the_command_line_takes_other_encoders_and_corpora(corpora, tmp_path, no_data, monkeypatch, capsys):
    encoder = build_wav2vec2_group_norm(tmp_path / "encoder")
    paths = [f"--corpus={name}={path}" for name, path in paths_of("clean", corpora).items()]
    code, printed = call(
        monkeypatch, capsys, "--preset", "clean", "--dry-run", "--encoder", f"wav2vec2-base={encoder}", *paths
    )
    assert not code, printed.err
    assert f"trials: {GRIDS['clean']:,}" in printed.out
    assert "front-end cache: " in printed.out and "time: unknown" not in printed.out  # the encoder was run


def test_all_that_a_preset_lacks_is_told_at_once(corpora, no_data, tmp_path, monkeypatch, capsys):
    esd = f"esd={corpora / 'ESD'}"
    code, printed = call(monkeypatch, capsys, "--preset", "clean", "--out", tmp_path / "run", "--corpus", esd)
    message = " ".join(printed.err.split())
    assert code == 2
    assert all(f"$VOICEFIT_DATA/{FOLDERS[name]}" in message for name in FOLDERS if name != "esd")
    assert message.endswith(
        "set the environment variable VOICEFIT_DATA to the folder meant, or add --corpus iemocap=PATH "
        "--corpus msp-improv=PATH --corpus msp-podcast=PATH --corpus mandarin=PATH"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoder", "base=x"], "--encoder base: the plan has no 'base'; it has small, mini"),
        (
            ["--corpus", "French=x"],
            "--corpus French: the plan has no 'French'; it has english, german, italian, polish,",
        ),
        (["--corpus", "french"], "--corpus french: write NAME=PATH"),
        (["--encoder", "mini="], "--encoder mini=: write NAME=SOURCE"),
        (["--encoder", "mini=a", "--encoder", "mini=b"], "--encoder mini is given twice"),
    ],
)
def test_an_option_that_cannot_be_meant_is_an_error(arguments, message, monkeypatch, capsys):
    code, printed = call(monkeypatch, capsys, "--preset", "demo", "--dry-run", *arguments)
    assert code == 2
    assert message in " ".join(printed.err.split())


@pytest.mark.parametrize("arguments", [[], ["plan.toml", "--preset", "paper"]])
def test_a_sweep_wants_a_plan_or_a_preset(arguments, monkeypatch, capsys):
    code, printed = call(monkeypatch, capsys, *arguments, "--dry-run")
    assert code == 2
    assert "name a plan, or one that comes with Voicefit by --preset" in printed.err


def test_a_preset_that_is_not_there_is_an_error_that_names_those_there_are():
    with pytest.raises(
        VoicefitError, match=r"unknown preset 'papers'; did you mean 'paper'\? There are .*clean, .*paper, "
    ):
        read_preset("papers")


@pytest.mark.parametrize("preset", ["paper", "paper-code"])
def test_the_publications_experiment_runs_in_miniature(preset, corpora, tmp_path, no_data):
    paths = paths_of(preset, corpora) | {"esd": build_esd(tmp_path / "ESD")}
    plan = read_preset(preset, {"wav2vec2-base": build_wav2vec2_group_norm(tmp_path / "encoder")}, paths)
    names = list(plan.corpora)
    plan = plan.model_copy(
        update={
            "prefinetune": {**plan.prefinetune, "max_epochs": 1},
            "methods": {"published": {**plan.methods.get("published", {}), "epochs": 2}},
            "grid": [Grid(starts=["none", "+".join(names)], methods=["published"], k=[2], draws=1)],
        }
    )
    result = run_sweep(plan, tmp_path / "run", cache_root=tmp_path / "cache")
    assert (result.finished, result.failed) == (2 * 2 * 5, 0)
    record = json.loads(
        (tmp_path / "run" / "checkpoints" / "wav2vec2-base" / "+".join(names) / "voicefit.json").read_text()
    )
    assert record["front_end"]["train"] == (preset == "paper-code")
    assert record["settings"]["train_heads"] == (preset == "paper")
    assert [corpus["name"] for corpus in record["corpora"]] == names
    with TrialStore(tmp_path / "run" / "trials.sqlite", read_only=True) as store:
        assert set(store.trials()["protocol"]) == {"paper"}


def build_with_enough_clips(root):
    """RAVDESS and nEMO with clips enough for a trial, and the other corpora of the open questions."""
    seeds = count()
    for actor, emotion, *rest in product(("01", "02"), RAVDESS_EMOTIONS, ("01", "02"), ("01", "02"), ("01", "02")):
        write_noise(root / "ravdess" / f"Actor_{actor}" / f"03-01-{emotion}-{'-'.join(rest)}-{actor}.wav", next(seeds))
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for speaker, emotion, number in product(("EB0", "KS0"), NEMO_EMOTIONS, range(1, 7)):
        write_noise(root / "nemo" / "samples" / f"{speaker}_{emotion}_{number}.wav", next(seeds))
        rows.append(f"{speaker}_{emotion}_{number}.wav\t{emotion}\tA.\ta\t{speaker}\tfemale\t30")
    (root / "nemo" / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    for name, build in (("tess", build_tess), ("emodb", build_emodb), ("emovo", build_emovo), ("fsdd", build_fsdd)):
        build(root / name)
    return root


@pytest.fixture(scope="module")
def open_questions(tmp_path_factory):
    """The folder of the open questions' corpora, an encoder for all of them, and a front-end cache."""
    root = tmp_path_factory.mktemp("open-questions")
    return (
        build_with_enough_clips(root),
        build_wav2vec2_group_norm(root / "encoder", num_hidden_layers=4),
        root / "cache",
    )


def with_fewer_clips(entry):
    """An encoder that trains on no more clips than there are here, where the preset says on how many."""
    fewer = {name: 40 if name == "train_clips" else value for name, value in entry.prefinetune.items()}
    return entry.model_copy(update={"prefinetune": fewer})


ANGER = Grid(starts=["none", "all"], methods=["head"], labels=["anger"], k=[2], draws=1)
ALL_LABELS = Grid(starts=["none", "all"], methods=["head"], tasks=["multiclass"], k=[10], draws=1)


@pytest.mark.parametrize(
    ("preset", "grid"),
    [
        *((name, ANGER) for name in ("encoder-size", "corpus-diversity", "unseen-language", "sensitivity")),
        ("other-tasks", ALL_LABELS),
    ],
)
def test_an_open_question_runs_in_miniature(preset, grid, open_questions, tmp_path, no_data):
    data, encoder, cache = open_questions
    raw = tomllib.loads((files("voicefit.presets") / f"{preset}.toml").read_text("utf-8"))
    paths = {name: data / name.split("-")[0] for name in {**raw["corpora"], **raw["targets"]}}
    plan = read_preset(preset, dict.fromkeys(raw["encoders"], encoder), paths)
    plan = plan.model_copy(
        update={
            "encoders": {name: with_fewer_clips(entry) for name, entry in plan.encoders.items()},
            "prefinetune": {**plan.prefinetune, "max_epochs": 1},
            "grid": [grid],
        }
    )
    result = run_sweep(plan, tmp_path / "run", cache_root=cache)
    speakers = 2 * len(plan.targets)
    assert (result.finished, result.failed) == (2 * len(plan.encoders) * speakers, 0)
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["plan"]
    assert {**recorded["corpora"], **recorded["targets"]} == {name: str(path) for name, path in paths.items()}
    assert {entry["source"] for entry in recorded["encoders"].values()} == {str(encoder)}


def test_presets_are_listed_with_what_they_need(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["voicefit", "presets", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    listed = {preset["name"]: preset for preset in json.loads(capsys.readouterr().out)}
    assert not end.value.code and list(listed) == preset_names()
    assert listed["clean"]["variables"] == ["VOICEFIT_DATA"] and listed["clean"]["targets"] == {
        "esd": "$VOICEFIT_DATA/ESD"
    }
    assert listed["demo"]["variables"] == []
    assert all(preset["about"] and len(preset["about"]) < 100 for preset in listed.values())


def test_a_preset_that_is_shown_is_a_plan(monkeypatch, capsys, tmp_path, no_data):
    monkeypatch.setattr("sys.argv", ["voicefit", "presets", "demo"])
    with pytest.raises(SystemExit):
        main()
    (tmp_path / "plan.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_plan(tmp_path / "plan.toml") == read_preset("demo")


@pytest.mark.parametrize("preset", GRIDS)
def test_a_dry_run_counts_the_grid_before_its_corpora_are_here(preset, monkeypatch, capsys):
    monkeypatch.delenv("VOICEFIT_DATA", raising=False)
    monkeypatch.setattr("sys.argv", ["voicefit", "sweep", "--preset", preset, "--dry-run"])
    with pytest.raises(SystemExit):
        main()
    printed = capsys.readouterr().out
    assert f"trials: {GRIDS[preset]:,}" in printed
    assert "esd is not here ($VOICEFIT_DATA/ESD); counted as published, 20 speakers" in printed
    assert "time: unknown (" in printed and ", esd are not here)" in printed


def test_a_run_needs_corpora_that_are_here(monkeypatch, tmp_path):
    monkeypatch.delenv("VOICEFIT_DATA", raising=False)
    with pytest.raises(VoicefitError, match="set the environment variable VOICEFIT_DATA"):
        read_preset("paper")
    plan = read_preset("paper", keep_variables=True)
    with pytest.raises(VoicefitError, match=r"\$VOICEFIT_DATA/IEMOCAP_full_release: no such"):
        run_sweep(plan, tmp_path / "run")


def test_a_dry_run_refuses_a_corpus_that_nothing_is_published_of(monkeypatch, tmp_path):
    plan = read_preset("paper", corpora={"esd": tmp_path}, keep_variables=True)
    unknown = plan.model_copy(update={"targets": {"mine": str(tmp_path / "nowhere")}})
    with pytest.raises(VoicefitError, match=r"nowhere: no such file or folder \(corpus 'mine'\)"):
        dry_run(unknown)


def test_a_target_that_is_not_here_and_without_published_counts_is_an_error(tmp_path):
    plan = {
        "encoders": {"base": {"source": "facebook/wav2vec2-base"}},
        "targets": {"nemo": str(tmp_path / "nEMO")},
        "grid": [{"starts": ["none"], "methods": ["head"], "k": [2], "draws": 1}],
    }
    with pytest.raises(VoicefitError, match=r"targets\.nemo: .*nEMO is not here, and no counts are published"):
        dry_run(make_plan(plan, "plan"))
