import pytest

from support.layouts import write_files, write_noise
from voicefit.corpora import emozionalmente
from voicefit.errors import VoicefitError

EMOTIONS = ["anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise"]
STEMS = [f"161306313208{number}" for number in range(7)]


def build_emozionalmente(root, suffix=".wav"):
    """Every emotion once, by two actors; the tables of actors and listeners are there too."""
    write_files(root / "audio", [f"{stem}{suffix}" for stem in STEMS])
    lines = ["file_name,sentence,actor,emotion_expressed"]
    for number, (stem, emotion) in enumerate(zip(STEMS, EMOTIONS, strict=True)):
        lines.append(f'{stem}.wav,"Buongiorno, sono io.",user{number % 2},{emotion}')
    (root / "metadata").mkdir()
    (root / "metadata" / "samples.csv").write_text("\n".join(lines) + "\n")
    (root / "metadata" / "users.csv").write_text("username,gender,age,mother_tongue\n")
    (root / "metadata" / "evaluations.csv").write_text("file_name,evaluator,audio_quality,emotion_recognized\n")
    return root


@pytest.mark.parametrize("given", ["", "emozionalmente_dataset"])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_every_clip_is_read_whatever_its_format(tmp_path, given, suffix):
    build_emozionalmente(tmp_path / "emozionalmente_dataset", suffix)
    corpus = emozionalmente.load("mine", tmp_path / given)
    assert [(clip.id, clip.speaker, clip.label, clip.native_label) for clip in corpus.clips] == [
        (f"audio/{stem}{suffix}", f"user{number % 2}", emozionalmente.EMOTIONS[emotion], emotion)
        for number, (stem, emotion) in enumerate(zip(STEMS, EMOTIONS, strict=True))
    ]
    assert corpus.labels == ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    assert all(clip.path.is_file() for clip in corpus.clips)


def test_the_published_counts_of_labels_add_up():
    assert sum(emozionalmente.INFO.expected_labels.values()) == emozionalmente.INFO.expected_clips


def test_absent_and_unlisted_files_are_told(tmp_path):
    audio = build_emozionalmente(tmp_path) / "audio"
    (audio / f"{STEMS[0]}.wav").rename(audio / "other.wav")
    clips = emozionalmente.load("mine", tmp_path).clips
    assert [(clip.id, clip.label) for clip in clips if not clip.path.exists()] == [(f"audio/{STEMS[0]}.wav", "anger")]
    assert [(clip.id, clip.speaker) for clip in clips if clip.label is None] == [("audio/other.wav", "unknown")]


def test_a_path_in_the_table_cannot_leave_the_audio(tmp_path):
    table = build_emozionalmente(tmp_path) / "metadata" / "samples.csv"
    table.write_text(table.read_text().replace(f"{STEMS[0]}.wav", "../../secret.wav"))
    assert all(clip.path.parent == tmp_path / "audio" for clip in emozionalmente.load("mine", tmp_path).clips)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("user0,joy", "user0,hope", "no clip of Emozionalmente"),
        (f"{STEMS[0]}.wav", "", "'' with emotion 'anger' is no clip"),
        ("actor", "player", "no column actor; is this the table of Emozionalmente"),
        ("joy", '"joy', "not readable as the table of Emozionalmente"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, old, new, message):
    table = build_emozionalmente(tmp_path) / "metadata" / "samples.csv"
    table.write_text(table.read_text().replace("user1,joy", "user0,joy").replace(old, new, 1))
    with pytest.raises(VoicefitError, match=rf"samples\.csv: .*{message}"):
        emozionalmente.load("mine", tmp_path)


def test_a_wrong_root_is_refused(tmp_path):
    write_noise(tmp_path / "audio" / "a.wav", 0)
    with pytest.raises(VoicefitError, match=r"expected metadata/samples\.csv and audio/ here"):
        emozionalmente.load("mine", tmp_path)
