"""Every command and example of the README runs as it stands, on miniature corpora in the native layouts."""

import shlex

import pytest

from support.layouts import build_emodb, build_ravdess, write_noise
from support.new_process import run_command_line
from support.readme import blocks_to_test, commands_of
from support.tiny_models import build_wav2vec2_group_norm

pytestmark = pytest.mark.slow(30)

EMOTIONS = ("anger", "neutral")
"""Enough to tell one from the rest: the README's plan has 1440 trials of six emotions, in each of two sweeps."""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with the README's corpora, clips and encoder, which is also the current directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    build_ravdess(tmp_path / "data" / "RAVDESS")
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
    for name, text in blocks_to_test("toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


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
    ("block", "commands", "made"),
    [
        (0, 4, ["my-model/model.safetensors", "talk.svg", "my-model.onnx"]),
        (1, 2, ["my-better-model/model.safetensors"]),
        (2, 4, ["checkpoint/model.safetensors", "my-own-model/model.safetensors"]),
        (3, 3, ["run/report/index.html"]),
    ],
    ids=["on your own voice", "recordings without labels", "on your own corpora", "a sweep"],
)
def test_every_command_of_the_readme_runs(home, tmp_path_factory, block, commands, made):
    blocks = [commands_of(text) for _, text in blocks_to_test("bash")]
    assert len(blocks) == 4 and len(blocks[block]) == commands
    outputs = {line: run_command(line, tmp_path_factory.mktemp("printed")) for line in blocks[block]}
    assert all((home / name).is_file() for name in made)
    if block == 0:
        prediction = outputs["voicefit predict my-model new-clip.wav"]
        assert "calm" in prediction and "upset" in prediction
    if block == 1:
        assert "2 clips: macro F1" in outputs["voicefit evaluate my-better-model my-other-clips"]


def test_the_python_example_of_the_readme_runs(home, capsys):
    ((_, example),) = blocks_to_test("python")
    assert len(example.splitlines()) < 20
    script = home / "example.py"
    script.write_text(f"if __name__ == '__main__':\n{'    '.join(['', *example.splitlines(True)])}", encoding="utf-8")
    code, printed, errors = run_command_line([script], home)
    assert code == 0, errors
    assert "{'calm': 2, 'upset': 2}" in printed
