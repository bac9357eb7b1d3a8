import pytest

from voicefit.errors import VoicefitError
from voicefit.system.launch import is_rank_zero, only_rank_zero_reports


@pytest.mark.parametrize(
    ("size", "rank", "first"),
    [(None, None, True), ("", "", True), (None, "3", True), ("1", "3", True), ("4", "0", True), ("4", "3", False)],
)
def test_one_process_of_a_run_speaks(monkeypatch, size, rank, first):
    for name, value in (("WORLD_SIZE", size), ("RANK", rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert is_rank_zero() == first


def test_an_environment_that_makes_no_sense_is_explained(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(VoicefitError, match="WORLD_SIZE is 'many', not a number; unset it"):
        is_rank_zero()


def test_the_first_tells_and_the_others_end_in_silence(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(VoicefitError, match="wrong"), only_rank_zero_reports(VoicefitError):
        raise VoicefitError("wrong")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("voicefit.system.launch.QUIET_EXIT_DELAY_S", 0)
    with pytest.raises(SystemExit) as end, only_rank_zero_reports(VoicefitError):
        raise VoicefitError("wrong")
    assert end.value.code == 2
