import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicefit.errors import VoicefitError
from voicefit.serving.limits import clean_label


@pytest.mark.parametrize(
    ("text", "label"),
    [("Angry", "anger"), (" calm ", "calm"), ("very tired", "very_tired"), ("müde", "müde"), ("怒り", "怒り")],
)
def test_labels_are_written_as_models_write_them(text, label):
    assert clean_label(text) == label


@pytest.mark.parametrize("text", ["", " ", "..", "../x", "a/b", "a\\b", ".hidden", "a\x00b", "x" * 41, "<b>", "\u202e"])
def test_labels_that_are_no_words_are_refused(text):
    with pytest.raises(VoicefitError, match="write 1 to 40 letters"):
        clean_label(text)


@given(st.text(max_size=60))
def test_no_label_leaves_its_folder(text):
    try:
        label = clean_label(text)
    except VoicefitError:
        return
    assert "/" not in label and "\\" not in label and not label.startswith(".") and clean_label(label) == label
