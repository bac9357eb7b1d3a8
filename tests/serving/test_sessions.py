import pytest

from voicefit.serving.lane import BusyError
from voicefit.serving.sessions import Sessions, UnknownSessionError


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_session_is_forgotten_with_its_files_after_rest_and_use_keeps_it(tmp_path):
    clock = Clock()
    sessions = Sessions(tmp_path, most=2, idle_seconds=60, clock=clock)
    used, idle = sessions.open(), sessions.open()
    folder = sessions.get(idle).folder
    (folder / "model.safetensors").write_bytes(b"weights")
    clock.now = 50
    sessions.get(used)
    clock.now = 61
    sessions.forget_idle()
    assert not folder.exists()
    assert sessions.held == 1
    sessions.get(used)
    with pytest.raises(UnknownSessionError, match="removed after 1 minutes"):
        sessions.get(idle)


def test_there_is_no_room_for_more_than_the_most_until_one_rests(tmp_path):
    clock = Clock()
    sessions = Sessions(tmp_path, most=2, idle_seconds=60, clock=clock)
    keys = {sessions.open(), sessions.open()}
    assert len(keys) == 2 and all(len(key) == 32 for key in keys)
    with pytest.raises(BusyError, match="2 sessions"):
        sessions.open()
    clock.now = 61
    sessions.open()


def test_closing_twice_or_closing_what_never_was_does_nothing(tmp_path):
    sessions = Sessions(tmp_path, most=1, idle_seconds=60)
    key = sessions.open()
    sessions.close(key)
    sessions.close(key)
    sessions.close("")
    assert list(tmp_path.iterdir()) == []
