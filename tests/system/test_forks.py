import os
import signal
import sys
from types import ModuleType

from support.spawned import in_new_process, needs_cores
from voicefit.system import forks
from voicefit.system.forks import map_in_forks


def pid_and_double(number):
    return os.getpid(), 2 * number


def test_few_pieces_of_work_are_done_here():
    assert list(map_in_forks(pid_and_double, [1, 2])) == [(os.getpid(), 2), (os.getpid(), 4)]


def mapped_in_forks(act):
    forks._WORTH_A_FORK = 4
    forks._AT_ONCE = 2
    return os.getpid(), list(map_in_forks(act, range(10)))


@needs_cores
def test_many_are_done_by_forks_and_come_in_their_order():
    parent, answers = in_new_process(mapped_in_forks, pid_and_double)
    pids, doubles = zip(*answers, strict=True)
    assert doubles == tuple(range(0, 20, 2))
    assert parent not in pids


HERE = os.getpid()


def die_in_a_fork_at_seven(number):
    if number == 7 and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@needs_cores
def test_where_a_fork_is_killed_this_process_does_the_rest():
    _, answers = in_new_process(mapped_in_forks, die_in_a_fork_at_seven)
    assert answers == list(range(10))


def pids_where_ray_is_loaded():
    sys.modules["ray"] = ModuleType("ray")
    return mapped_in_forks(pid_and_double)


def test_where_ray_is_loaded_nothing_forks():
    here, answers = in_new_process(pids_where_ray_is_loaded)
    assert {pid for pid, _ in answers} == {here}
