from dataclasses import replace

import pyarrow
import pytest
from pyarrow import parquet

from support.layouts import write_noise
from voicefit.corpora import resd
from voicefit.errors import VoicefitError

CLIPS = {
    "train": [
        ("03_disgust_neutral/03_disgust_neutral n_050", "dialogue-03", "neutral"),  # a space, as in the release
        ("happiness_enthusiasm_32/32_happiness_enthusiasm_e_060", "dialogue-32", "enthusiasm"),
        ("happiness_enthusiasm_32/32_happiness_enthusiasm_h_120", "dialogue-32", "happiness"),
        ("sadness_anger_39/39_sadness_anger_a_040", "dialogue-39", "anger"),
    ],
    "test": [
        ("fear_disgust_48/48_fear_disgust_d_080", "dialogue-48", "disgust"),
        ("fear_disgust_48/48_fear_disgust_f_010", "dialogue-48", "fear"),
        ("sadness_anger_39/39_sadness_anger_s_090", "dialogue-39", "sadness"),
    ],
}


def build_resd(root, suffix=".wav"):
    for part, clips in CLIPS.items():
        lines = ["name,path,emotion"]
        for number, (path, _, emotion) in enumerate(clips):
            write_noise(root / part / f"{path}{suffix}", number)
            lines.append(f"{path.split('/')[1][:12]},{path}.wav,{emotion}")
        (root / f"{part}.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("given", ["", "resd"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_clip_is_read_whatever_its_format(tmp_path, given, suffix):
    build_resd(tmp_path / "resd", suffix)
    corpus = resd.load("mine", tmp_path / given)
    assert [(clip.id, clip.speaker, clip.label, clip.native_label, clip.split) for clip in corpus.clips] == [
        (f"{part}/{path}{suffix}", speaker, emotion, emotion, None)
        for part in ("test", "train")
        for path, speaker, emotion in CLIPS[part]
    ]
    assert all(clip.path.is_file() for clip in corpus.clips)


@pytest.mark.parametrize("ending", ["", "-04c8c8dd3a63f6df"])
def test_the_tables_of_the_hub_have_the_same_clips(tmp_path, ending):
    build_resd(tmp_path / "files")
    expected = resd.load("mine", tmp_path / "files")
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for part in CLIPS:
        clips = [clip for clip in expected.clips if clip.id.startswith(part)]
        paths = [clip.id.removeprefix(f"{part}/") for clip in clips]
        speech = [{"bytes": clip.path.read_bytes(), "path": clip.path.name} for clip in clips]
        emotions = [clip.native_label for clip in clips]
        table = pyarrow.table({"name": paths, "path": paths, "emotion": emotions, "speech": speech})
        parquet.write_table(table, tmp_path / "hub" / "data" / f"{part}-00000-of-00001{ending}.parquet")
    corpus = resd.load("mine", tmp_path / "hub")
    assert corpus.root == tmp_path / "hub" / "data"
    for clip, other in zip(corpus.clips, expected.clips, strict=True):
        assert clip == replace(other, path=clip.path)
        assert clip.path.read_bytes() == other.path.read_bytes()


def test_absent_and_unlisted_files_are_told(tmp_path):
    folder = build_resd(tmp_path) / "test" / "fear_disgust_48"
    (folder / "48_fear_disgust_d_080.wav").rename(folder / "48_fear_disgust_d_081.wav")
    clips = resd.load("mine", tmp_path).clips
    below = "test/fear_disgust_48/48_fear_disgust_d_08"
    assert [(clip.id, clip.label) for clip in clips if not clip.path.exists()] == [(f"{below}0.wav", "disgust")]
    assert [(clip.id, clip.speaker) for clip in clips if clip.label is None] == [(f"{below}1.wav", "dialogue-48")]


@pytest.mark.parametrize("path", ["../secret.wav", "/etc/secret.wav", "", "a/../../secret.wav", "."])
def test_a_path_in_a_table_cannot_leave_its_folder(tmp_path, path):
    table = build_resd(tmp_path) / "test.csv"
    table.write_text(f"name,path,emotion\nx,{path},anger\n")
    with pytest.raises(VoicefitError, match=rf"test\.csv: '{path}' is no path of a clip"):
        resd.load("mine", tmp_path)


def test_what_is_not_all_there_is_refused(tmp_path):
    with pytest.raises(
        VoicefitError,
        match=r"expected train\.csv, test\.csv, train/ and test/, or tables like train-00000-of-00001\.parquet here",
    ):
        resd.load("mine", tmp_path)
    build_resd(tmp_path)
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(VoicefitError, match=r"test: no such folder; test\.csv lists its clips: was all of it unpacked"):
        resd.load("mine", tmp_path)
    (tmp_path / "elsewhere").rename(tmp_path / "test")
    (tmp_path / "test.csv").unlink()
    with pytest.raises(VoicefitError, match=r"test\.csv: not readable as a table of RESD"):
        resd.load("mine", tmp_path)
