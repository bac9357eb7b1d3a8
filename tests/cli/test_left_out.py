"""What a person reads of clips that are not used, and of labels that are read as other words."""

import json

import pytest

from support.layouts import build_folder, write_noise
from support.tiny_models import build_wav2vec2_group_norm
from voicefit.cli.left_out import tell_left_out


@pytest.fixture
def clips(tmp_path):
    """Clips of two labels, with five empty files of the first, called surprised."""
    clips = build_folder(tmp_path / "clips", speakers=())
    (clips / "Angry").rename(clips / "surprised")
    for number in range(5):
        (clips / "surprised" / f"empty-{number}.wav").write_bytes(b"")
    return clips


def test_clips_that_are_left_out_for_one_reason_are_one_line_and_all_are_in_the_record(run, clips, tmp_path):
    code, _, err = run("adapt", build_wav2vec2_group_norm(tmp_path / "encoder"), clips, "--out", tmp_path / "m")
    assert code == 0, err
    lines = [line for line in err.splitlines() if line.startswith("left out:")]
    assert len(lines) == 1
    assert lines[0].startswith("left out: 5 clips in surprised (")
    assert lines[0].endswith("): empty-0.wav, empty-1.wav, empty-2.wav and 2 more")
    assert f"all that is left out: {tmp_path / 'm' / 'voicefit.json'}" in err
    record = json.loads((tmp_path / "m" / "voicefit.json").read_text())
    assert sorted(record["left_out"]) == [f"surprised/empty-{number}.wav" for number in range(5)]
    code, out, err = run("evaluate", "mini", clips, "--json")
    assert code == 0 and len(json.loads(out)["left_out"]) == 5
    assert len([line for line in err.splitlines() if line.startswith("left out: ")]) == 1
    assert "all that is left out: --json" in err


def test_a_folder_that_is_read_as_another_word_is_told_once(run, clips, tmp_path):
    words = "surprised is read as the label surprise"
    code, out, err = run("adapt", clips, "--out", tmp_path / "m", "--small")
    assert code == 0, err
    assert err.count(words) == 1 and "2 surprise" in out
    write_noise(clips / "surprised" / "new.wav", 77)
    code, _, err = run("evaluate", tmp_path / "m", clips)
    assert code == 0 and err.count(words) == 1
    for speaker in ("anna", "ben"):
        build_folder(tmp_path / "all" / speaker, speakers=())
    code, _, err = run("adapt", tmp_path / "all", "--each", "--out", tmp_path / "each", "--small")
    assert code == 0 and err.count("Angry is read as the label anger") == 1, err


def test_what_is_in_no_record_is_named_to_the_last(capsys):
    reasons = {f"a/{number}.wav": f"too-short: {number} ms long, at least 25 ms are needed" for number in range(1, 6)}
    tell_left_out(reasons | {"row 3 of t.csv": "lists b", "row 4 of t.csv": "lists b", "b/": "no recording in it"})
    assert capsys.readouterr().err.splitlines() == [
        "left out: 5 clips in a (too-short: 1 ms long, at least 25 ms are needed; the others alike): 1.wav, 2.wav, "
        "3.wav, 4.wav, 5.wav",
        "left out: 2 rows of t.csv (lists b): row 3 of t.csv, row 4 of t.csv",
        "left out: b/ (no recording in it)",
    ]
