import pytest

from support.voices import write_clips


@pytest.fixture
def voice(tmp_path):
    """Two clips of each of three labels in ``all``, the same in two parts in ``first`` and ``then``; recordings."""
    names = ("anger/1", "anger/2", "neutral/1", "neutral/2", "sadness/1", "sadness/2")
    write_clips(tmp_path / "all", *names)
    for seed, name in enumerate(names):
        write_clips(tmp_path / ("first" if seed in (0, 2, 3) else "then"), name, first=seed)
    write_clips(tmp_path / "recordings", *"abcdef", first=20)
    return tmp_path
