"""Voicefit where nothing but its own dependencies is installed: no PyTorch, and no package of an extra."""

import json
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file

import voicefit
from support.layouts import write_noise
from support.light_installation import BLOCKED
from support.tiny_models import build_wav2vec2_group_norm

pytestmark = pytest.mark.slow(10)

HEAVY_ROOMS = ("demo", "distillation", "prefinetuning", "report", "selection", "sweep", "training")
"""Work that needs an extra: some of these modules import its packages at once."""

HEAVY = (
    "adaptation.bitfit", "adaptation.fine_tune", "adaptation.full", "adaptation.kl", "adaptation.l2sp",
    "adaptation.lhuc", "adaptation.lora", "adaptation.published", "adaptation.top_layers",
    "checkpoints.checkpoint",
    "encoders.cache", "encoders.cuda_graphs", "encoders.dropout", "encoders.encoder", "encoders.families",
    "encoders.hidden_units", "encoders.load", "encoders.padding", "encoders.position_convolution", "encoders.precision",
    "encoders.transformers_encoder",
    "export.encoder", "export.graph",
    "heads.corpus_heads", "heads.discriminants", "heads.learn_prior",
    "serving.app", "serving.handlers", "serving.late_page", "serving.page", "serving.server",
    "system.distributed", "system.machine",
)  # fmt: skip
"""Single modules of other rooms that do so."""

MODULES = ["voicefit", *(found.name for found in pkgutil.walk_packages(voicefit.__path__, "voicefit."))]


def is_heavy(name: str) -> bool:
    name = name.removeprefix("voicefit.")
    return name in HEAVY or name.split(".")[0] in HEAVY_ROOMS


def test_all_modules_but_a_short_list_are_imported_without_an_extra():
    light = [name for name in MODULES if not is_heavy(name) and not name.endswith("__main__")]
    assert len(light) > 100
    check = f"""
import importlib
from support.light_installation import block
block()
for name in {light}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


def test_the_list_names_no_module_that_is_not_there():
    assert [name for name in (*HEAVY_ROOMS, *HEAVY) if f"voicefit.{name}" not in MODULES] == []


COMMANDS = {
    "example": "example example",
    "adapt": "adapt clips --out small --small",
    "adapt from a model": "adapt --from small others --out grown",
    "adapt each": "adapt speakers --each --out models --small",
    "adapt with recordings": "adapt clips --unlabelled more --out whole",
    "adapt by method head": "adapt mini clips --method head --out by-head",
    "predict": "predict small new.wav --json",
    "predict without a model": "predict new.wav --json",
    "predict in windows": "predict small talk.wav --window 1 --hop 0.5 --json",
    "predict together": "predict small more --together --json",
    "evaluate": "evaluate small others --json",
    "suggest": "suggest more --labelled clips -n 2 --json",
    "export": "export small --out model.onnx",
    "export int8": "export small --out int8.onnx --int8",
    "export transformers": "export small --format transformers --out made-whole",
    "corpora list": "corpora list --json",
    "corpora check": "corpora check folder=clips --json",
}
"""What a light installation can do."""

TRAIN, REPORT = "pip install 'voicefit[train]'", "pip install 'voicefit[report]'"
REFUSED = {
    "prefinetune --encoder encoder --corpus folder=clips --out refused": TRAIN,
    "distill --teacher encoder --audio more --out refused": TRAIN,
    "select --target clips --encoder encoder --corpus folder=clips": TRAIN,
    "sweep plan.toml --out refused": TRAIN,
    "sweep --preset clean --dry-run": TRAIN,
    "adapt clips --method full --out refused": TRAIN,
    "adapt clips --method lora --out refused": TRAIN,
    "adapt encoder clips --out refused": TRAIN,
    "predict encoder new.wav": TRAIN,
    "export encoder --out refused.onnx": TRAIN,
    "export encoder --format encoder": TRAIN,
    "report run": REPORT,
    "predict small talk.wav --window 1 --figure refused.svg": REPORT,
    "serve small": "pip install 'voicefit[serve]'",
    "push whole me/model": "pip install 'voicefit[hub]'",
    "predict somebody/model new.wav": "pip install 'voicefit[hub]'",
    "predict smalll new.wav": "smalll: no such folder (did you mean small?). A model of the hub is named as owner/name",
    "demo --out refused": "pip install 'voicefit[",
}
"""What it cannot do, and the extra that it names."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips of a voice, recordings of it, and what the commands have made of them."""
    folder = tmp_path_factory.mktemp("light")
    clips = ("clips/calm/1", "clips/calm/2", "clips/upset/1", "clips/upset/2", "others/calm/1", "others/upset/1")
    for seed, name in enumerate((*clips, "more/1", "more/2", "more/3", "more/4", "new")):
        write_noise(folder / f"{name}.wav", seed, seconds=0.6, peak=0.1 + 0.08 * seed)
    write_noise(folder / "talk.wav", 20, seconds=2.5)
    for speaker in ("anna", "ben"):
        shutil.copytree(folder / "clips", folder / "speakers" / speaker)
    build_wav2vec2_group_norm(folder / "encoder")
    (folder / "run").mkdir()
    (folder / "plan.toml").write_text("")
    return folder


@pytest.fixture(scope="module")
def answers(home: Path) -> dict[str, tuple[int, str, str]]:
    """Command line → its exit code, what it printed and its errors; all ran in one process."""
    lines = [*COMMANDS.values(), *REFUSED]
    (home / "commands.json").write_text(json.dumps([line.split() for line in lines]))
    script = Path(__file__).parent / "support" / "light_installation.py"
    done = subprocess.run(
        [sys.executable, script, "commands.json", "answers.json"], cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(lines, map(tuple, json.loads((home / "answers.json").read_text())), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_light_installation_does_all_of_a_voice(answers, name):
    code, printed, errors = answers[COMMANDS[name]]
    assert code == 0, errors
    assert printed and "Traceback" not in errors


def test_its_answers_are_answers(answers):
    def said(name):
        return json.loads(answers[COMMANDS[name]][1])

    (one,) = said("predict")
    assert set(one["probabilities"]) == {"calm", "upset"}
    assert sum(one["probabilities"].values()) == pytest.approx(1)
    (unheard,) = said("predict without a model")
    assert {"anger", "neutral"} <= set(unheard["probabilities"])
    assert len(said("predict in windows")[0]["windows"]) == 4
    assert len(said("predict together")) == 4
    assert said("evaluate")["clips"] == 2
    assert len(said("suggest")) == 2


def test_what_it_makes_is_what_a_whole_installation_makes(answers, home, tmp_path):
    voicefit.adapt("mini", home / "clips", out=tmp_path / "whole")
    found, expected = (load_file(folder / "model.safetensors") for folder in (home / "made-whole", tmp_path / "whole"))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], array) for name, array in expected.items())
    light, heavy = (json.loads((f / "voicefit.json").read_text()) for f in (home / "made-whole", tmp_path / "whole"))
    assert light == heavy
    (answer,) = json.loads(answers[COMMANDS["predict"]][1])
    model = voicefit.load_model(tmp_path / "whole", graph=False)  # by PyTorch
    assert model.predict(home / "new.wav").probabilities == pytest.approx(answer["probabilities"], abs=1e-4)
    session = onnxruntime.InferenceSession(home / "model.onnx")
    waveform = voicefit.audio.load_waveform(home / "new.wav")
    assert session.run(None, {"waveform": waveform})[0] == pytest.approx(
        list(answer["probabilities"].values()), abs=1e-4
    )


@pytest.mark.parametrize("line", REFUSED)
def test_what_needs_an_extra_names_it_in_one_line(answers, home, line):
    code, printed, errors = answers[line]
    *told, error = errors.strip().splitlines()
    assert code == 2
    assert error.startswith("error: ") and REFUSED[line] in error
    assert [words for words in told if not words.startswith("model: mini")] == []
    assert printed == ""
    assert not list(home.glob("refused*"))


def test_what_is_blocked_is_what_extras_bring():
    """A new package of an extra is blocked here too."""
    from voicefit.system.extras import EXTRAS

    assert {package for packages in EXTRAS.values() for package in packages} - {"multipart"} <= set(BLOCKED)
