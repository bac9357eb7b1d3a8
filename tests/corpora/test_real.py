"""The real corpora, where they are at hand."""

from collections import Counter

import pytest

from voicefit.corpora import load_corpus
from voicefit.corpora.check import check_corpus

COUNTS = {
    "RAVDESS": (1440, 24, 8),
    "TESS": (2800, 2, 7),
    "EmoDB": (535, 10, 7),
    "EMOVO": (588, 6, 7),
    "ravdess-intensity": (1440, 24, 2),
    "ravdess-statement": (1440, 24, 2),
    "tess-word": (2800, 2, 200),
    "FSDD": (3000, 6, 10),
    "nEMO": (3403, 7, 6),  # as distributed; 4481 clips of 9 speakers were published
}


FOLDERS = {"ravdess-intensity": "RAVDESS", "ravdess-statement": "RAVDESS", "tess-word": "TESS"}


def load_or_skip(shared_data, name):
    folder = shared_data / FOLDERS.get(name, name)
    if not folder.is_dir():
        pytest.skip(f"no {folder.name} in {shared_data}")
    return load_corpus(name, folder)


@pytest.mark.parametrize("name", COUNTS)
def test_counts(shared_data, name):
    corpus = load_or_skip(shared_data, name)
    published = corpus.info.expected_labels
    if published and name != "nEMO":
        assert dict(Counter(clip.label for clip in corpus.clips)) == published
    assert (len(corpus.clips), len(corpus.speakers), len(corpus.labels)) == COUNTS[name]
    assert all(clip.label and clip.native_label and clip.path.is_file() for clip in corpus.clips)


def test_emodb_label_counts(shared_data):
    table = load_or_skip(shared_data, "EmoDB").table()
    # The counts that the corpus's authors publish.
    assert table["label"].value_counts().to_dict() == {
        "anger": 127,
        "boredom": 81,
        "neutral": 79,
        "happiness": 71,
        "fear": 69,
        "sadness": 62,
        "disgust": 46,
    }


def test_emodb_has_no_findings(shared_data):
    report = check_corpus(load_or_skip(shared_data, "EmoDB"))
    assert report.findings == ()
    assert report.differences == ()


def test_the_quietest_speaker_of_ravdess_is_not_near_silent_and_holds_one_duplicate(shared_data):
    corpus = load_or_skip(shared_data, "RAVDESS")
    report = check_corpus(corpus.select(lambda clip: clip.speaker == "07"))
    assert [(finding.clip_id.split(".")[0], finding.kind) for finding in report.findings] == [
        ("Actor_07/03-01-03-01-02-02-07", "duplicate")
    ]
