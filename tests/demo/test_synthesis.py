import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voicefit.corpora import load_corpus
from voicefit.corpora.corpus import VOCABULARY
from voicefit.demo.synthesis import DEMO_CORPORA, DEMO_TARGET, SyntheticCorpus, synthesise_corpus
from voicefit.errors import VoicefitError

ENGLISH = DEMO_CORPORA[0]
SMALL = dataclasses.replace(ENGLISH, speakers=ENGLISH.speakers[1:3], labels=("anger", "neutral", "sadness"))


@pytest.fixture(scope="module")
def parselmouth():
    return pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed (extra: demo)")


@pytest.fixture(scope="module")
def small(parselmouth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech") / "small"
    synthesise_corpus(SMALL, root, clips_per_label=5, seed=3)
    return root


def read(root: Path) -> dict[str, np.ndarray]:
    """The samples of every clip below ``root`` by its path there."""
    return {path.relative_to(root).as_posix(): soundfile.read(path)[0] for path in sorted(root.rglob("*.flac"))}


def spectral_balance(samples: np.ndarray) -> float:
    """Energy from 1 to 5 kHz over energy below 1 kHz, dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 16_000)
    return float(10 * np.log10(power[(hertz > 1000) & (hertz < 5000)].sum() / power[hertz <= 1000].sum()))


def test_the_demo_has_four_corpora_with_label_sets_of_their_own_and_an_unseen_target():
    everyone = [speaker.name for corpus in (*DEMO_CORPORA, DEMO_TARGET) for speaker in corpus.speakers]
    voices = {speaker.voice for corpus in DEMO_CORPORA for speaker in corpus.speakers}
    assert len(DEMO_CORPORA) == 4
    assert len(set(everyone)) == len(everyone)
    assert len({corpus.language for corpus in (*DEMO_CORPORA, DEMO_TARGET)}) == 5
    assert len({corpus.labels for corpus in DEMO_CORPORA}) == 4
    assert all(set(corpus.labels) <= set(VOCABULARY) for corpus in (*DEMO_CORPORA, DEMO_TARGET))
    assert not voices & {speaker.voice for speaker in DEMO_TARGET.speakers}


@pytest.mark.slow(3)
def test_the_folder_loader_finds_every_speaker_label_and_clip(small: Path):
    corpus = load_corpus("small", small)
    counts = corpus.table().groupby(["speaker", "label"]).size()
    assert corpus.speakers == ["grace", "harry"]
    assert corpus.labels == ["anger", "neutral", "sadness"]
    assert (counts == 5).all()
    assert (small / "grace" / "anger" / "04.flac").is_file()


def test_clips_are_sound_16_khz_mono(small: Path):
    for path in small.rglob("*.flac"):
        samples, rate = soundfile.read(path)
        assert rate == 16_000
        assert samples.ndim == 1
        assert 0.5 <= len(samples) / rate <= 3
        assert 0.01 < np.abs(samples).max() <= 0.99


def test_anger_is_higher_louder_and_brighter_than_sadness_in_the_same_sentence(parselmouth, small: Path):
    clips = read(small)
    for speaker in SMALL.speakers:
        for number in range(4):
            angry, sad = (clips[f"{speaker.name}/{label}/{number:02d}.flac"] for label in ("anger", "sadness"))
            pitch = [parselmouth.Sound(clip, 16_000).to_pitch(0.01, 60, 500) for clip in (angry, sad)]
            hertz = [track.selected_array["frequency"] for track in pitch]
            assert np.median(hertz[0][hertz[0] > 0]) > np.median(hertz[1][hertz[1] > 0])
            assert np.std(angry) > np.std(sad)
            assert spectral_balance(angry) > spectral_balance(sad)
            assert len(angry) < len(sad)


@pytest.mark.slow(4)
def test_the_same_seed_gives_the_same_samples_and_more_clips_change_none(small: Path, tmp_path: Path):
    np.random.seed(1)
    synthesise_corpus(SMALL, tmp_path / "other", clips_per_label=1, seed=0)
    synthesise_corpus(SMALL, tmp_path / "again", clips_per_label=6, seed=3)
    again = read(tmp_path / "again")
    for name, samples in read(small).items():
        np.testing.assert_array_equal(again[name], samples)


def test_another_seed_gives_other_samples(small: Path, tmp_path: Path):
    synthesise_corpus(SMALL, tmp_path / "other", clips_per_label=1, seed=4)
    first = "grace/neutral/00.flac"
    assert not np.array_equal(read(tmp_path / "other")[first], read(small)[first])


@pytest.mark.slow(2)
def test_an_interrupted_run_leaves_nothing_and_the_next_one_is_whole(parselmouth, tmp_path: Path):
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesise_corpus(SMALL, tmp_path / "speech" / "small", 1, 0, interrupt)
    assert list((tmp_path / "speech").iterdir()) == []
    steps: list[tuple[int, int]] = []
    synthesise_corpus(SMALL, tmp_path / "speech" / "small", 1, 0, lambda done, total: steps.append((done, total)))
    assert steps == [(done, 6) for done in range(1, 7)]
    assert len(read(tmp_path / "speech" / "small")) == 6


def test_a_complete_corpus_is_left_alone(small: Path):
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    synthesise_corpus(SMALL, small, 5, 3, lambda done, total: pytest.fail("synthesised again"))
    assert {path: path.stat().st_mtime_ns for path in small.rglob("*")} == before


def test_a_folder_that_holds_something_else_is_refused_and_kept(small: Path, tmp_path: Path):
    with pytest.raises(VoicefitError, match="exists already"):
        synthesise_corpus(SMALL, small, 5, seed=4)
    assert len(read(small)) == 30
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(VoicefitError, match="exists already"):
        synthesise_corpus(SMALL, tmp_path, 5, seed=3)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_without_parselmouth_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(VoicefitError, match=r'pip install "voicefit\[demo\]"'):
        synthesise_corpus(SMALL, tmp_path / "small", 1, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("corpus", "clips", "words"),
    [
        (dataclasses.replace(SMALL, language="Klingon"), 1, "cannot synthesise Klingon, only English"),
        (dataclasses.replace(SMALL, labels=("anger", "sarcasm")), 1, "cannot synthesise sarcasm, only"),
        (SMALL, 0, "clips_per_label is 0"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(corpus: SyntheticCorpus, clips: int, words: str, tmp_path: Path):
    with pytest.raises(VoicefitError, match=words):
        synthesise_corpus(corpus, tmp_path / "speech", clips, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_voice_is_named(parselmouth, tmp_path: Path):
    speaker = dataclasses.replace(SMALL.speakers[0], voice="Nobody")
    with pytest.raises(VoicefitError, match="Nobody"):
        synthesise_corpus(dataclasses.replace(SMALL, speakers=(speaker,)), tmp_path / "speech", 1, 0)
    assert list(tmp_path.iterdir()) == []
