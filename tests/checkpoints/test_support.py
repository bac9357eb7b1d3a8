"""What a model keeps of its clips, on disk and in an order of its own."""

import itertools

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from voicefit.checkpoints.support import SHOTS, Support, read_support
from voicefit.errors import VoicefitError
from voicefit.system.hub import locate


def support(order=(0, 1, 2)):
    """Three clips, the second under the digest that sorts first; and two recordings without labels."""
    pooled = np.arange(12, dtype=np.float32).reshape(3, 4)[list(order)]
    ids, labels, digests = (tuple(row[place] for place in order) for row in (("ä/1", "b/1", "b/2"), "äbb", "zac"))
    return Support(ids, labels, digests, pooled, ("y", "x"), np.eye(2, 4, dtype=np.float32), ("b", "ä"))


def same(one, other):
    return (
        (one.ids, one.labels, one.digests, one.unlabelled_digests, one.named)
        == (other.ids, other.labels, other.digests, other.unlabelled_digests, other.named)
        and np.array_equal(one.pooled, other.pooled)
        and np.array_equal(one.unlabelled, other.unlabelled)
    )


def test_what_is_written_is_read_and_always_has_the_same_bytes(tmp_path):
    support().save(tmp_path / SHOTS, "an encoder")
    found, encoder = read_support(locate(tmp_path))
    assert encoder == "an encoder" and same(found, support())
    first = (tmp_path / SHOTS).read_bytes()
    for _ in range(5):
        support().save(tmp_path / SHOTS, "an encoder")
        assert (tmp_path / SHOTS).read_bytes() == first


def test_the_order_follows_from_the_clips_alone():
    expected = support().sorted()
    assert expected.digests == ("a", "c", "z") and expected.unlabelled_digests == ("x", "y")
    assert expected.unlabelled[0, 1] == 1
    assert all(same(support(order).sorted(), expected) for order in itertools.permutations(range(3)))


def test_clips_and_labels_come_and_go():
    less = support().without_label("b")
    assert (less.labels, less.named, less.pooled.shape) == (("ä",), ("ä",), (1, 4))
    back = less.joined(support().without({"z"}))
    assert (back.digests, back.named) == (("z", "a", "c"), ("b", "ä"))
    assert same(back.sorted(), support().sorted())
    assert support().without_unlabelled({"x"}).unlabelled.tolist() == [[1, 0, 0, 0]]


@pytest.mark.parametrize("content", [b"", b"{}", b"not safetensors at all"])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / SHOTS).write_bytes(content)
    with pytest.raises(VoicefitError, match=r"shots.safetensors: is damaged; adapt anew"):
        read_support(locate(tmp_path))


def test_names_and_vectors_that_differ_in_number_are_told(tmp_path):
    support().save(tmp_path / SHOTS, "an encoder")
    with safe_open(tmp_path / SHOTS, framework="numpy") as file:
        metadata = file.metadata()
    few = {"pooled": np.zeros((2, 4), np.float32), "unlabelled": np.zeros((2, 4), np.float32)}
    save_file(few, tmp_path / SHOTS, metadata=metadata)
    with pytest.raises(VoicefitError, match="names and vectors differ in number"):
        read_support(locate(tmp_path))


def test_a_model_without_the_file_says_nothing(tmp_path):
    assert read_support(locate(tmp_path)) is None
