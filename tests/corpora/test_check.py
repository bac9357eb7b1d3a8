import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from support.layouts import build_emodb, build_folder, build_nemo, write_noise
from voicefit.corpora import load_corpus
from voicefit.corpora.check import KINDS, Difference, check_corpus, render


def check_with(root: Path, name: str, samples: np.ndarray, rate: int = 16_000, subtype: str = "PCM_16"):
    """The findings (kind, detail) on one file, which stands in a folder with sound ones."""
    build_folder(root, speakers=())
    soundfile.write(root / "neutral" / name, samples, rate, subtype=subtype)
    report = check_corpus(load_corpus("mine", root))
    assert {finding.clip_id for finding in report.findings} <= {f"neutral/{name}"}
    return [(finding.kind, finding.detail) for finding in report.findings]


def shown(report) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(render(report))
    return console.file.getvalue()


def sine(seconds=0.5, rate=16_000, amplitude=0.5, frequency=200):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def test_a_sound_corpus_has_no_findings(tmp_path):
    report = check_corpus(load_corpus("mine", build_folder(tmp_path)))
    assert report.findings == ()
    assert report.differences == ()
    assert report.counts == {speaker: {"anger": 2, "neutral": 2} for speaker in ("anna", "ben")}
    assert report.totals == {
        "clips": 8,
        "speakers": 2,
        "labels": 2,
        "hours": pytest.approx(8 * 0.05 / 3600),
        "min_seconds": 0.05,
        "median_seconds": 0.05,
        "max_seconds": 0.05,
        "rates": {16_000: 8},
        "channels": {1: 8},
    }
    assert "Angry is read as the label anger" in shown(report) and "Nothing else to report" in shown(report)


def test_a_corpus_under_another_name_than_its_own_is_told_of_names(tmp_path):
    words = "One label alone: if `voicefit corpora list` knows this corpus, give it as NAME=PATH by that name"
    build_emodb(tmp_path)
    assert words in shown(check_corpus(load_corpus("mine", tmp_path)))
    assert words not in shown(check_corpus(load_corpus("emodb", tmp_path)))


def test_clips_that_do_not_load(tmp_path):
    corpus = load_corpus("mine", build_folder(tmp_path, speakers=()))
    paths = [clip.path for clip in corpus.clips]
    paths[0].unlink()
    paths[1].write_bytes(b"RIFF, but not a sound file")
    soundfile.write(paths[2], np.zeros(0), 16_000)
    soundfile.write(paths[3], sine(0.01), 16_000)
    report = check_corpus(corpus)
    kinds = [(finding.clip_id, finding.kind) for finding in report.findings]
    assert kinds == [
        ("Angry/1.wav", "missing"),
        ("Angry/2.wav", "unreadable"),
        ("neutral/1.wav", "empty"),
        ("neutral/2.wav", "too-short"),
    ]
    assert report.clips == ()
    assert report.totals["clips"] == 4
    assert report.totals["median_seconds"] is None
    assert "neutral/2.wav" in shown(report)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(8000), np.full(8000, 0.25), sine(amplitude=0.0005)],
    ids=["zeros", "constant", "faint"],
)
def test_near_silent(tmp_path, samples):
    ((kind, detail),) = check_with(tmp_path, "quiet.wav", samples)
    assert kind == "near-silent"
    assert "loudest sample" in detail


def test_quiet_speech_is_not_near_silent(tmp_path):
    # As quiet as the quietest clip of RAVDESS: a peak of -47 dBFS between long pauses.
    samples = np.concatenate([np.zeros(16_000), sine(0.05, amplitude=10 ** (-47 / 20)), np.zeros(16_000)])
    assert check_with(tmp_path, "quiet.wav", samples) == []


@pytest.mark.parametrize(("rate", "subtype"), [(16_000, "PCM_16"), (48_000, "PCM_24"), (16_000, "FLOAT")])
def test_clipped(tmp_path, rate, subtype):
    ((kind, detail),) = check_with(tmp_path, "loud.wav", np.clip(sine(rate=rate, amplitude=2), -1, 1), rate, subtype)
    assert kind == "clipped"
    assert "consecutive samples at full scale" in detail


def test_one_clipped_channel_is_clipped(tmp_path):
    stereo = np.stack([np.clip(sine(amplitude=2), -1, 1), sine(amplitude=0.1)], axis=1)
    assert [kind for kind, _ in check_with(tmp_path, "stereo.wav", stereo)] == ["clipped"]


def test_normalised_to_full_scale_is_not_clipped(tmp_path):
    samples = sine(amplitude=0.5)
    samples[[100, 101, 5000]] = 1.0
    assert check_with(tmp_path, "loud.wav", samples) == []


def test_clipping_outside_the_segment_does_not_count(tmp_path):
    stereo = np.repeat(sine(1.0)[:, None], 2, axis=1)
    stereo[:4000] = 1.0
    soundfile.write(tmp_path / "a.wav", stereo, 16_000)
    (tmp_path / "clips.csv").write_text("path,label,start,end\na.wav,sad,0,0.3\na.wav,sad,0.3,0.9\n")
    report = check_corpus(load_corpus("mine", tmp_path / "clips.csv"))
    assert [(finding.clip_id, finding.kind) for finding in report.findings] == [("a.wav#0.0-0.3", "clipped")]
    assert [clip.seconds for clip in report.clips] == pytest.approx([0.3, 0.6], abs=0.001)


def test_duplicates_are_found_by_their_samples(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 800, dtype=np.int16)
    for name in ("angry/a.wav", "angry/b.flac", "sad/c.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, samples, 16_000)
    report = check_corpus(load_corpus("mine", tmp_path))
    assert [(finding.clip_id, finding.detail) for finding in report.of_kind("duplicate")] == [
        ("angry/b.flac", "same samples as angry/a.wav"),
        ("sad/c.wav", "same samples as angry/a.wav, which is labelled anger, this one sadness"),
    ]


def test_a_copy_under_another_speaker_is_said_to_be_one(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 800, dtype=np.int16)
    for name in ("ann/angry/1.wav", "ann/angry/2.wav", "bob/angry/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        soundfile.write(tmp_path / name, samples, 16_000)
    report = check_corpus(load_corpus("mine", tmp_path))
    assert [finding.detail for finding in report.of_kind("duplicate")] == [
        "same samples as ann/angry/1.wav",
        "same samples as ann/angry/1.wav; that is of speaker ann, this one of bob; held out, either is known",
    ]


def test_unlabelled_clips_and_published_counts(tmp_path):
    write_noise(build_nemo(tmp_path) / "samples" / "EB0_extra_1.wav", 99)
    report = check_corpus(load_corpus("nemo", tmp_path))
    assert [(finding.clip_id, finding.kind) for finding in report.findings] == [
        ("samples/EB0_extra_1.wav", "unlabelled")
    ]
    assert report.counts["EB0"]["unlabelled"] == 1
    assert "unlabelled" not in report.labels
    assert report.differences == (Difference("clips", 4481, 13), Difference("speakers", 9, 2))
    text = shown(report)
    assert "CC BY-NC-SA 4.0" in text
    assert "13 clips found, 4481 published" in text


def test_a_label_with_another_number_of_clips_than_published_is_told(tmp_path):
    corpus = load_corpus("mine", build_folder(tmp_path))
    info = replace(corpus.info, expected_labels={"anger": 4, "neutral": 5, "fear": 1})
    differences = check_corpus(replace(corpus, info=info)).differences
    assert differences == (Difference("clips of neutral", 5, 4), Difference("clips of fear", 1, 0))


def test_progress_counts_up_to_the_number_of_clips(tmp_path):
    calls = []
    corpus = load_corpus("mine", build_folder(tmp_path))
    check_corpus(corpus, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 8) for done in range(1, 9)]


def test_the_report_is_plain_data(tmp_path):
    report = check_corpus(load_corpus("nemo", build_nemo(tmp_path)))
    plain = report.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["info"]["licence"] == "CC BY-NC-SA 4.0"
    assert plain["totals"]["rates"] == {"16000": 12}
    assert plain["differences"][0] == {"what": "clips", "expected": 4481, "found": 12}


def test_markup_in_names_is_shown_as_it_is(tmp_path):
    write_noise(tmp_path / "[red]spk" / "[bold]odd" / "[i]clip.wav", 0, peak=0)
    text = shown(check_corpus(load_corpus("mine", tmp_path)))
    assert "[red]spk" in text
    assert "[bold]odd" in text
    assert "[i]clip.wav" in text


def test_long_lists_of_findings_are_cut_in_the_terminal(tmp_path):
    for number in range(5):
        write_noise(tmp_path / "sad" / f"{number}.wav", number, peak=0, seconds=0.05 + number / 100)
    report = check_corpus(load_corpus("mine", tmp_path))
    assert len(report.of_kind("near-silent")) == 5
    assert "… and 2 more" in shown(report)
    assert set(KINDS) >= {finding.kind for finding in report.findings}


def test_floats_beyond_full_scale_are_not_clipped_but_a_flat_top_is(tmp_path):
    loud = 4 * sine(amplitude=0.5)
    assert check_with(tmp_path / "a", "loud.wav", loud, subtype="FLOAT") == []
    flat = check_with(tmp_path / "b", "flat.wav", np.clip(loud, -1.7, 1.7), subtype="FLOAT")
    assert [kind for kind, _ in flat] == ["clipped"]


def test_what_a_model_does_not_hear_says_nothing_about_a_clip(tmp_path):
    late = np.concatenate([np.zeros(16_000), sine(1.0), np.ones(100)])
    for name, samples in (("sad/1.wav", late), ("calm/1.wav", np.concatenate([sine(1.0, frequency=300), late]))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, samples, 16_000)
    found = check_corpus(load_corpus("mine", tmp_path), heard=1.0)
    assert [(finding.clip_id, finding.kind, finding.detail) for finding in found.findings] == [
        ("sad/1.wav", "near-silent", "of its first 1 s, its loudest sample is zero")
    ]
    assert [round(clip.seconds, 2) for clip in found.clips] == [3.01, 2.01]
    whole = check_corpus(load_corpus("mine", tmp_path))
    assert [finding.kind for finding in whole.findings] == ["clipped", "clipped"]


def test_a_stretch_that_is_not_there_and_what_is_left_out_are_told(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(1.0), 16_000)
    (tmp_path / "clips.csv").write_text("path,label,start,end\na.wav,sad,0.5,3\na.wav,sad,0.5,3\n")
    report = check_corpus(load_corpus("mine", tmp_path / "clips.csv"))
    assert [(finding.kind, finding.detail) for finding in report.findings] == [
        ("read-in-part", "it ends at 1.0 s, before 3 s")
    ]
    assert "row 3 of clips.csv is left out: lists a.wav#0.5-3.0 again" in shown(report)
    assert report.to_json()["account"]["left_out"] == {"row 3 of clips.csv": "lists a.wav#0.5-3.0 again"}
