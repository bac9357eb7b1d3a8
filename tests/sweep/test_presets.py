import json
import sys
import tomllib
from importlib.resources import files

import pytest

from support.layouts.esd import build_esd
from support.layouts.iemocap import build_iemocap
from support.layouts.mandarin import build_mandarin
from support.layouts.msp_improv import build_msp_improv
from support.layouts.msp_podcast import build_msp_podcast
from support.tiny_models import build_wav2vec2_group_norm
from voicefit.cli.app import main
from voicefit.errors import VoicefitError
from voicefit.sweep import TrialStore, dry_run, make_plan, read_preset, run_sweep

pytestmark = pytest.mark.slow(5)

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


@pytest.mark.parametrize(("preset", "trials"), GRIDS.items())
def test_the_publications_grid_is_counted_with_nothing_but_the_corpora(preset, trials, corpora, monkeypatch):
    monkeypatch.setenv("VOICEFIT_DATA", str(corpora))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = dry_run(read_preset(preset))
    assert found.trials == trials
    assert len(found.prefinetunings) == 15
    assert found.estimate is None
    assert found.unknown


def test_the_command_line_counts_the_publications_trials(corpora, monkeypatch, capsys):
    monkeypatch.setenv("VOICEFIT_DATA", str(corpora))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sys, "argv", ["voicefit", "sweep", "--preset", "paper", "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert not ended.value.code
    assert "trials: 33,600" in out
    assert "pre-finetunings: 15" in out
    assert "time: unknown" in out


@pytest.mark.parametrize("arguments", [[], ["plan.toml", "--preset", "paper"]])
def test_a_sweep_wants_a_plan_or_a_preset(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["voicefit", "sweep", *arguments, "--dry-run"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "name a plan, or one that comes with Voicefit by --preset" in capsys.readouterr().err


def test_a_preset_that_is_not_there_is_an_error_that_names_those_there_are():
    with pytest.raises(VoicefitError, match=r"preset 'papers' is unknown; there are .*clean, .*paper, "):
        read_preset("papers")


@pytest.mark.parametrize("preset", ["paper", "paper-code"])
def test_the_publications_experiment_runs_in_miniature(preset, corpora, tmp_path, monkeypatch):
    build_esd(tmp_path / "ESD")
    raw = tomllib.loads((files("voicefit.presets") / f"{preset}.toml").read_text("utf-8"))
    (encoder,) = raw["encoders"].values()
    encoder["source"] = str(build_wav2vec2_group_norm(tmp_path / "encoder"))
    names = list(raw["corpora"])
    monkeypatch.setenv("VOICEFIT_DATA", str(corpora))
    plan = make_plan(
        {
            **raw,
            "targets": {"esd": str(tmp_path / "ESD")},
            "prefinetune": {**raw.get("prefinetune", {}), "max_epochs": 1},
            "methods": {"published": {**raw.get("methods", {}).get("published", {}), "epochs": 2}},
            "grid": [{"starts": ["none", "+".join(names)], "methods": ["published"], "k": [2], "draws": 1}],
        },
        preset,
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
