import pytest

from support.layouts import write_noise
from voicefit.corpora import emns
from voicefit.errors import VoicefitError

CLIPS = [
    ("recorded_audio_12Z4Zr5", "disgust", "Disgust"),
    ("recorded_audio_6g0EJdS", "sarcasm", "Sarcastic"),
    ("recorded_audio_9ZWk7in", "sadness", "Sad"),
    ("recorded_audio_He9Mect", "anger", "Angry"),
    ("recorded_audio_KkeDrQa", "excitement", "Excited"),
    ("recorded_audio_LB9hoKR", "neutral", "Neutral"),
    ("recorded_audio_XCibfSq", "happiness", "Happy"),
    ("recorded_audio_oGl6q2Q", "surprise", "Surprised"),
]
HEADER = "id|utterance|description|emotion|date_created|status|gender|age|level|audio_recording|user_id"


def build_emns(root, folder="cleaned_webm", suffix=".webm"):
    """Every emotion once. WebM is only bytes here: no library of the tests writes it."""
    lines = [HEADER]
    for number, (stem, _, native) in enumerate(CLIPS):
        fields = f"{number}|Well, he said.|Happy, with a smile|{native}|2022|complete|Female|26|5|wavs/{stem}.webm|3"
        lines.append(fields)
        if suffix == ".webm":
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / f"{stem}{suffix}").write_bytes(b"\x1a\x45\xdf\xa3")
        else:
            write_noise(root / folder / f"{stem}{suffix}", number)
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def shown(corpus):
    return [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips]


@pytest.mark.parametrize("given", ["", "EMNS"])
@pytest.mark.parametrize(
    ("folder", "suffix"), [("cleaned_webm", ".webm"), ("raw_webm", ".webm"), ("wavs", ".wav"), (".", ".flac")]
)
def test_every_layout_has_the_same_clips(tmp_path, given, folder, suffix):
    build_emns(tmp_path / "EMNS", folder, suffix)
    corpus = emns.load("mine", tmp_path / given)
    below = "" if folder == "." else f"{folder}/"
    assert shown(corpus) == [(f"{below}{stem}{suffix}", "3", label, native) for stem, label, native in CLIPS]
    assert all(clip.path.is_file() for clip in corpus.clips)


def test_a_converted_clip_stands_for_its_webm(tmp_path):
    build_emns(tmp_path)
    write_noise(tmp_path / "cleaned_webm" / f"{CLIPS[0][0]}.wav", 0)
    corpus = emns.load("mine", tmp_path)
    assert [clip.path.suffix for clip in corpus.clips] == [".wav"] + [".webm"] * 7


def test_absent_and_unlisted_files_are_told(tmp_path):
    build_emns(tmp_path, "wavs", ".wav")
    (tmp_path / "wavs" / f"{CLIPS[0][0]}.wav").rename(tmp_path / "wavs" / "other.wav")
    clips = emns.load("mine", tmp_path).clips
    assert [clip.id for clip in clips if not clip.path.exists()] == [f"wavs/{CLIPS[0][0]}.webm"]
    assert [(clip.id, clip.speaker) for clip in clips if clip.label is None] == [("wavs/other.wav", "unknown")]


def test_a_path_in_the_table_cannot_leave_the_folder(tmp_path):
    table = build_emns(tmp_path) / "metadata.csv"
    table.write_text(table.read_text().replace(f"wavs/{CLIPS[0][0]}.webm", "../../secret.webm"))
    assert all(clip.path.parent == tmp_path / "cleaned_webm" for clip in emns.load("mine", tmp_path).clips)


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"expected metadata\.csv and cleaned_webm/ or wavs/ here"):
        emns.load("mine", tmp_path)
    (tmp_path / "metadata.csv").write_text(f"{HEADER}\n1|a|b|Happy|2022|complete|Female|26|5||3\n")
    with pytest.raises(VoicefitError, match="no recording in wavs, cleaned_webm, raw_webm or beside"):
        emns.load("mine", tmp_path)
    write_noise(tmp_path / "wavs" / "a.wav", 0)
    with pytest.raises(VoicefitError, match=r"metadata\.csv: a row without audio_recording"):
        emns.load("mine", tmp_path)
    (tmp_path / "metadata.csv").write_text("id,utterance\n")
    with pytest.raises(
        VoicefitError, match=r"no column audio_recording, emotion, user_id; is this the metadata\.csv of"
    ):
        emns.load("mine", tmp_path)
