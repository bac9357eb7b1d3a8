import os
import pty
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    ("terminal", "extra"),
    [(None, {"FORCE_COLOR": "1"}), ("dumb", {})],
    ids=["a log in colour", "a terminal without a cursor"],
)
def test_no_bar_is_drawn_where_it_would_stay(tmp_path, terminal, extra):
    assert drawn(tmp_path, terminal, extra) == 0


def test_a_terminal_gets_bars(tmp_path):
    assert drawn(tmp_path, "xterm", {}) > 1


def drawn(tmp_path, terminal, extra):
    """How often a bar of three steps is drawn in a terminal of a kind, or in a pipe."""
    script = tmp_path / "steps.py"
    script.write_text(
        "from voicefit.cli.terminal import progress_bars\n"
        "with progress_bars() as progress:\n    [progress('counting', done, 3) for done in range(4)]\n"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR", "COLUMNS")
    }
    far, near = pty.openpty() if terminal else os.pipe()
    environment |= {"TERM": terminal or "xterm", **extra}
    done = subprocess.run([sys.executable, script], stderr=near, env=environment, check=False)
    os.close(near)
    assert done.returncode == 0
    try:
        return os.read(far, 100_000).decode().count("counting")
    except OSError:  # a terminal at which nothing was written has ended
        return 0
    finally:
        os.close(far)
