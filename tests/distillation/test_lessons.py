from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from voicefit.distillation.lessons import DistillSettings, Lessons, find_windows
from voicefit.distillation.student import build_student, cut_student
from voicefit.encoders import FrontEnd, Reading, load_encoder
from voicefit.errors import VoicefitError


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def lessons(teacher: Path, student: Path, tmp_path: Path) -> Lessons:
    return Lessons(load_encoder(teacher, Reading(depth=2)), build_student(student, 0), SETTINGS, 0, tmp_path)


SETTINGS = DistillSettings(layers=(1, 2))


def test_recordings_are_cut_every_4_seconds_and_scraps_are_dropped(tmp_path: Path):
    for name, seconds in (("long", 12.0), ("scrap", 4.3), ("short", 0.4)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(int(seconds * 16_000)), 16_000)
    windows, left_out = find_windows([tmp_path])
    assert [(w.path.stem, w.start, w.end) for w in windows] == [
        ("long", 0, 4),
        ("long", 4, 8),
        ("long", 8, 12),
        ("scrap", 0, 4),
    ]
    assert not left_out


def test_a_file_that_is_no_audio_is_left_out_with_its_reason(audio: Path):
    windows, left_out = find_windows([audio])
    assert len(windows) == 17
    assert list(left_out) == [str(audio / "broken.wav")]
    assert "not readable as audio" in left_out[str(audio / "broken.wav")]


def test_the_teacher_is_asked_once(lessons: Lessons, audio: Path, monkeypatch: pytest.MonkeyPatch):
    windows, _ = find_windows([audio])
    assert lessons.prepare(windows[:3], quiet) == {}
    before = [lessons.read(window, view) for window in windows[:3] for view in (0, 1)]
    monkeypatch.setattr(lessons.teacher, "layer_frames", None)
    assert lessons.prepare(windows[:3], quiet) == {}
    after = [lessons.read(window, view) for window in windows[:3] for view in (0, 1)]
    assert all(torch.equal(a[1], b[1]) for a, b in zip(before, after, strict=True))


def test_the_first_view_is_the_recording_and_the_second_another_speed(lessons: Lessons, audio: Path):
    windows, _ = find_windows([audio])
    lessons.prepare(windows[:1], quiet)
    waveform, said = lessons.read(windows[0], 0)
    expected, _ = soundfile.read(windows[0].path, dtype="float32")
    assert np.array_equal(waveform, expected)
    assert said.shape == (2, -(-len(waveform) // 320), 16)
    assert len(lessons.read(windows[0], 1)[0]) != len(waveform)


def test_silence_is_part_of_what_a_student_that_pads_with_it_learns(teacher: Path, audio: Path, tmp_path: Path):
    master = load_encoder(teacher, Reading(depth=2, front_end=FrontEnd(max_seconds=4.0)))
    lessons = Lessons(master, cut_student(teacher, 1), SETTINGS, 0, tmp_path)
    windows, _ = find_windows([audio])
    lessons.prepare(windows[:1], quiet)
    assert lessons.read(windows[0], 0)[1].shape == (2, 200, 16)


def test_targets_are_standardised_and_freed_of_positions(lessons: Lessons, audio: Path):
    windows, _ = find_windows([audio])
    windows = [window for window in windows if window.end - window.start < 4]
    lessons.prepare(windows, quiet)
    lessons.lag = 0
    lessons.standardise(windows)
    said = [lessons.read(window, 0)[1].numpy() for window in windows]
    means = [np.mean([clip[:, t] for clip in said if clip.shape[1] > t], axis=0) for t in range(20)]
    rest = np.concatenate([clip - lessons.position_means[:, : clip.shape[1]].numpy() for clip in said], axis=1)
    found = lessons.targets(torch.from_numpy(said[0]), 20).numpy()
    expected = (said[0][:, :20] - np.stack(means, axis=1)) / rest.std(axis=1)[:, None]
    assert found == pytest.approx(expected, abs=1e-3)


def test_student_and_teacher_meet_at_the_same_moment(lessons: Lessons):
    """The student's first frame is centred on sample 560, the teacher's third on 640, its second on 320."""
    assert lessons.lag == 2
    said = torch.arange(10.0)[None, :, None].expand(2, 10, 16)
    lessons.position_means, lessons.spread = torch.zeros(2, 250, 16), torch.ones(2, 1, 16)
    assert lessons.targets(said, 5)[0, :, 0].tolist() == [2, 3, 4, 5, 6]
    assert lessons.targets(said, 50)[0, :, 0].tolist() == [2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.slow(2)
def test_a_student_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(VoicefitError, match="give mini, or a JSON file"):
        build_student(tmp_path / "absent.json", 0)
    other = tmp_path / "other.json"
    other.write_text('{"model_type": "wav2vec2", "conv_stride": [5, 2, 2, 2, 2, 2, 4]}')
    with pytest.raises(VoicefitError, match="a frame every 640 samples"):
        build_student(other, 0)
    other.write_text('{"model_type": "wav2vec2", "filter_bank": true}')
    with pytest.raises(VoicefitError, match="does not describe a wav2vec"):
        build_student(other, 0)


def test_mini_has_50_frames_a_second_and_learns_all_but_its_filter_bank():
    mini = build_student("mini", 0)
    convolutions = mini.model.base_model.feature_extractor.conv_layers
    learns = [all(weight.requires_grad for weight in layer.parameters()) for layer in convolutions]
    assert learns == [False] * 4 + [True] * 2
    waveform = np.zeros(48_000, np.float32)
    hidden, _ = mini.hidden([mini.front(waveform), mini.front(np.concatenate([waveform, waveform[:16_000]]))])
    assert hidden.isfinite().all()
    assert hidden.shape[2] == 256
    assert hidden.shape[1] == 50 * 4 - 4


def test_a_teacher_s_answers_are_found_again_whatever_head_it_came_with(teacher: Path, student: Path, tmp_path: Path):
    folders = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        loaded = load_encoder(teacher, Reading(depth=2))
        torch.nn.init.normal_(loaded.model.classifier.weight)
        folders.add(Lessons(loaded, build_student(student, 0), SETTINGS, 0, tmp_path).folder)
    assert len(folders) == 1
