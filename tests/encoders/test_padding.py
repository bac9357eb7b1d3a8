from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voicefit.encoders.padding import batches, mask, mean, pad


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 1000))
def test_batches_take_clips_in_order_up_to_a_number_of_frames(lengths, most):
    lengths.sort()
    cut = list(batches(range(len(lengths)), lengths, most))
    assert [index for batch in cut for index in batch] == list(range(len(lengths)))
    sizes = [len(batch) * lengths[batch[-1]] for batch in cut]
    assert all(size <= most or len(batch) == 1 for size, batch in zip(sizes, cut, strict=True))
    for batch, following in pairwise(cut):  # one clip more would have been too many
        assert (len(batch) + 1) * lengths[following[0]] > most


@pytest.mark.parametrize(("multiple", "length"), [(1, 37), (32, 64), (37, 37)])
def test_padding_is_not_heard(multiple, length):
    frames = [torch.randn(frames, 4) for frames in (37, 5)]
    padded = pad(frames, torch.device("cpu"), multiple)
    assert padded.shape == (2, length, 4) and not padded[1, 5:].any()
    heard = mean(padded + 7 * ~mask(frames, padded)[:, :, None], mask(frames, padded))
    torch.testing.assert_close(heard, torch.stack([clip.mean(0) for clip in frames]))
