import os
import signal

import pytest

from voicefit.system import forks
from voicefit.system.forks import map_in_forks


def pid_and_double(number):
    return os.getpid(), 2 * number


def test_few_pieces_of_work_are_done_here():
    assert list(map_in_forks(pid_and_double, [1, 2])) == [(os.getpid(), 2), (os.getpid(), 4)]


@pytest.mark.skipif(forks._cores() < 2, reason="one core")
def test_many_are_done_by_forks_and_come_in_their_order(monkeypatch):
    monkeypatch.setattr(forks, "_WORTH_A_FORK", 4)
    monkeypatch.setattr(forks, "_AT_ONCE", 2)
    pids, doubles = zip(*map_in_forks(pid_and_double, range(10)), strict=True)
    assert doubles == tuple(range(0, 20, 2))
    assert os.getpid() not in pids


HERE = os.getpid()


def die_in_a_fork_at_seven(number):
    if number == 7 and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.skipif(forks._cores() < 2, reason="one core")
def test_where_a_fork_is_killed_this_process_does_the_rest(monkeypatch):
    monkeypatch.setattr(forks, "_WORTH_A_FORK", 4)
    monkeypatch.setattr(forks, "_AT_ONCE", 2)
    assert list(map_in_forks(die_in_a_fork_at_seven, range(10))) == list(range(10))
