"""What may take the place of what: models that adapt wrote, and nothing else."""

import pytest

import voicefit
from support.voices import write_clips
from voicefit.errors import VoicefitError


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path / "clips", "calm/1", "upset/1")


def test_a_model_is_replaced_whole(clips, tmp_path):
    voicefit.adapt("mini", clips, out=tmp_path / "model")
    with pytest.raises(
        VoicefitError, match="exists already; choose another output, or take its place with --overwrite"
    ):
        voicefit.adapt("mini", clips, out=tmp_path / "model")
    voicefit.adapt("mini", clips, out=tmp_path / "model", small=True, overwrite=True)
    assert not (tmp_path / "model" / "config.json").exists()  # nothing of the whole one is left
    assert voicefit.load_model(tmp_path / "model").labels == ["calm", "upset"]
    assert sorted(path.name for path in tmp_path.iterdir() if "cache" not in path.name) == ["clips", "model"]


def test_a_link_to_a_model_stays_a_link(clips, tmp_path):
    voicefit.adapt("mini", clips, out=tmp_path / "real", small=True)
    (tmp_path / "link").symlink_to("real")
    voicefit.adapt("mini", clips, out=tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "config.json").is_file()


def test_nothing_else_is_overwritten(clips, tmp_path, start):
    for taken in (start, clips):
        before = sorted(taken.rglob("*"))
        with pytest.raises(VoicefitError, match="is no model that `voicefit adapt` wrote"):
            voicefit.adapt("mini", clips, out=taken, overwrite=True)
        assert sorted(taken.rglob("*")) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(VoicefitError, match="is no model that `voicefit adapt` wrote"):
        voicefit.adapt("mini", clips, out=tmp_path / "file", overwrite=True)


def test_files_of_somebodys_own_keep_a_model_from_being_replaced(clips, tmp_path):
    voicefit.adapt("mini", clips, out=tmp_path / "model", small=True)
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(VoicefitError, match=r"also holds notes.txt, which would be lost"):
        voicefit.adapt("mini", clips, out=tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"


def test_a_failure_leaves_the_model_as_it_is(clips, tmp_path):
    voicefit.adapt("mini", clips, out=tmp_path / "model", small=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    (clips / "upset" / "1.wav").write_bytes(b"not audio")
    with pytest.raises(VoicefitError, match="1 label"):
        voicefit.adapt("mini", clips, out=tmp_path / "model", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
