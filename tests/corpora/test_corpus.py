from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicefit.corpora import VOCABULARY, Clip, CorpusInfo, make_corpus, to_vocabulary
from voicefit.errors import VoicefitError

INFO = CorpusInfo("mine", "Mine", "English", "CC0 1.0", "unrestricted", "", "")


def clip(clip_id, speaker="anna", label="anger"):
    return Clip(clip_id, Path("root") / clip_id, speaker, label)


@pytest.mark.parametrize(
    ("native", "label"),
    [
        ("Angry", "anger"),
        (" HAPPY ", "happiness"),
        ("Pleasant surprise", "surprise"),
        ("very-sad", "very_sad"),
    ],
)
def test_labels_are_mapped_to_the_vocabulary(native, label):
    assert to_vocabulary(native) == label


@pytest.mark.slow(1)
@given(st.text())
def test_mapping_twice_is_mapping_once(native):
    assert to_vocabulary(to_vocabulary(native)) == to_vocabulary(native)


def test_the_vocabulary_maps_to_itself():
    assert [to_vocabulary(label) for label in VOCABULARY] == list(VOCABULARY)


def test_clips_are_sorted_and_described():
    corpus = make_corpus("c", Path("root"), INFO, [clip("b", "ben", None), clip("a"), clip("c", label="fear")])
    assert [item.id for item in corpus.clips] == ["a", "b", "c"]
    assert corpus.speakers == ["anna", "ben"]
    assert corpus.labels == ["anger", "fear"]
    assert list(corpus.table()["id"]) == ["a", "b", "c"]


def test_select_keeps_everything_but_the_other_clips():
    corpus = make_corpus("c", Path("root"), INFO, [clip("a"), clip("b", "ben")])
    selected = corpus.select(lambda item: item.speaker == "ben")
    assert [item.id for item in selected.clips] == ["b"]
    assert (selected.name, selected.info, selected.root) == ("c", INFO, Path("root"))


def test_the_table_of_no_clips_has_all_columns():
    corpus = make_corpus("c", Path("root"), INFO, [clip("a")]).select(lambda item: False)
    assert list(corpus.table().columns) == list(Clip.__dataclass_fields__)


def test_no_clips_and_repeated_clips_are_refused():
    with pytest.raises(VoicefitError, match="no clip of Mine"):
        make_corpus("c", Path("root"), INFO, [])
    with pytest.raises(VoicefitError, match="listed twice, the first is a"):
        make_corpus("c", Path("root"), INFO, [clip("a"), clip("a")])
