from voicefit.cli.terminal import ProgressLines


def progress_at(times, calls):
    """The lines that calls at these times give, at one every 20 s."""
    lines, clock = [], iter(times)
    progress = ProgressLines(lines.append, seconds=20, now=lambda: next(clock))
    for call in calls:
        progress(*call)
    return lines


def test_long_work_is_told_every_so_often_and_at_its_end():
    lines = progress_at([0, 10, 21, 30, 45, 50], [("epoch 1/2", done, 5_000) for done in (1, 2, 3, 4, 5, 5_000)])
    assert lines == [
        "epoch 1/2: 3 of 5,000 after 21 s",
        "epoch 1/2: 5 of 5,000 after 45 s",
        "epoch 1/2: 5,000 of 5,000 after 50 s",
    ]


def test_short_work_leaves_no_line():
    assert progress_at([0, 19], [("reading clips", 1, 2), ("reading clips", 2, 2)]) == []


def test_each_kind_of_work_has_its_own_time():
    assert progress_at([0, 15, 21], [("a", 1, 9), ("b", 1, 9), ("a", 2, 9)]) == ["a: 2 of 9 after 21 s"]


def test_work_of_the_same_name_begins_anew():
    calls = [("epoch", 0, 2), ("epoch", 2, 2), ("epoch", 0, 2), ("epoch", 1, 2)]
    assert progress_at([0, 25, 30, 60], calls) == ["epoch: 2 of 2 after 25 s", "epoch: 1 of 2 after 30 s"]
