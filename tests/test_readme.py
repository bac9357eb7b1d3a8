"""Every command and example of the README and of the first pages runs as it stands, on miniature corpora."""

import json
import shlex
from itertools import product

import pytest

from support.layouts import RAVDESS_EMOTIONS, build_emodb, write_noise
from support.new_process import run_command_line
from support.readme import PAGES, ROOT, blocks_to_test, commands_of, differences, transcripts
from support.tiny_models import build_wav2vec2_group_norm

pytestmark = pytest.mark.slow(30)

EMOTIONS = ("anger", "neutral")
"""Enough to tell one from the rest: the larger plan has 1440 trials of six emotions, in each of two sweeps."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with the pages' corpora, clips and encoder, which is also the current directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    build_ravdess_with_enough_clips(tmp_path / "data" / "RAVDESS")
    build_emodb(tmp_path / "data" / "EmoDB")
    build_nemo_with_enough_clips(tmp_path / "data" / "nEMO")
    build_wav2vec2_group_norm(tmp_path / "facebook" / "wav2vec2-base")
    for seed, clip in enumerate(
        (
            *("my-clips/calm/1", "my-clips/calm/2", "my-clips/upset/1", "my-clips/upset/2", "new-clip", "talk"),
            *("my-other-clips/calm/1", "my-other-clips/upset/1", "more-recordings/1", "more-recordings/2"),
        )
    ):
        write_noise(tmp_path / f"{clip}.wav", seed, seconds=0.3)
    for page in PAGES:
        for name, text in blocks_to_test("toml", page):
            (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def build_ravdess_with_enough_clips(root):
    takes = product(("01", "02"), RAVDESS_EMOTIONS, ("01", "02"), ("01", "02"))
    for seed, (actor, emotion, statement, repetition) in enumerate(takes):
        name = f"03-01-{emotion}-01-{statement}-{repetition}-{actor}.wav"
        write_noise(root / f"Actor_{actor}" / name, seed)


def build_nemo_with_enough_clips(root):
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for emotion in EMOTIONS:
        for number in range(1, 7):
            write_noise(root / "samples" / f"EB0_{emotion}_{number}.wav", seed=len(rows))
            rows.append(f"EB0_{emotion}_{number}.wav\t{emotion}\tA.\ta\tEB0\tfemale\t30")
    (root / "data.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def run_command(line, folder):
    name, *words = shlex.split(line)
    assert name == "voicefit"
    code, printed, errors = run_command_line(words, folder)
    assert code == 0, f"{line}\n{printed}\n{errors}"
    return printed


@pytest.mark.parametrize(
    ("page", "block", "commands", "made"),
    [
        ("README.md", 0, 2, ["run/report/index.html"]),
        ("docs/start/corpora.md", 0, 4, ["checkpoint/model.safetensors", "my-own-model/model.safetensors"]),
        ("docs/start/experiment.md", 0, 3, ["bigger-run/report/index.html"]),
    ],
    ids=["a small sweep", "your corpora", "a sweep"],
)
def test_every_command_of_the_pages_runs(home, tmp_path_factory, page, block, commands, made):
    blocks = [commands_of(text) for _, text in blocks_to_test("bash", page)]
    assert len(blocks[block]) == commands
    for line in blocks[block]:
        run_command(line, tmp_path_factory.mktemp("printed"))
    assert all((home / name).is_file() for name in made)


def test_every_block_is_run():
    assert [len(blocks_to_test("bash", page)) for page in PAGES] == [1, 2, 1, 1]
    assert [len(blocks_to_test("python", page)) for page in PAGES] == [1, 0, 0, 1]


def test_who_follows_the_readme_and_then_your_voice_is_refused_nothing(home, tmp_path_factory):
    printed = tmp_path_factory.mktemp("printed")
    (shown,) = transcripts("README.md")
    assert [line.split()[1] for line, _ in shown] == ["example", "adapt", "predict", "evaluate"]
    for line, expected in shown:
        code, out, errors = run_command_line(shlex.split(line)[1:], printed)
        assert code == 0, errors
        assert not expected or differences(expected, f"{errors}\n{out}") == [], f"{line}\n{errors}\n{out}"
    assert "{'calm': 2, 'upset': 2}" in run_python_example("README.md", home)
    blocks = [commands_of(text) for _, text in blocks_to_test("bash", "docs/start/voice.md")]
    assert [len(block) for block in blocks] == [4, 2]
    outputs = {line: run_command(line, printed) for block in blocks for line in block}
    made = ("my-model/model.safetensors", "talk.svg", "my-model.onnx", "my-better-model/model.safetensors")
    assert all((home / name).is_file() for name in made)
    prediction = outputs["voicefit predict my-model new-clip.wav"]
    assert "calm" in prediction and "upset" in prediction
    assert "2 clips: macro F1" in outputs["voicefit evaluate my-better-model my-other-clips"]


def run_python_example(page, home):
    ((_, example),) = blocks_to_test("python", page)
    script = home / "example.py"
    script.write_text(f"if __name__ == '__main__':\n{'    '.join(['', *example.splitlines(True)])}", encoding="utf-8")
    code, out, errors = run_command_line([script], home)
    assert code == 0, errors
    return out


def test_the_python_example_of_a_sweep_runs(home):
    run_python_example("docs/start/experiment.md", home)


def test_the_readme_is_short_and_names_both_targets_of_make():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    assert "    make demo " in text and "    make test " in text


def test_the_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "examples" / "two_clips.ipynb").read_text(encoding="utf-8"))
    lines = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code").splitlines()
    script = tmp_path / "cells.py"
    script.write_text("\n".join([*lines[:-1], f"print({lines[-1]})"]), encoding="utf-8")
    code, out, errors = run_command_line([script], tmp_path)
    assert code == 0, errors
    assert 0.5 < float(out.splitlines()[-1]) <= 1
