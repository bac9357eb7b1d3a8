import importlib.util

import voicefit


def test_a_public_name_is_the_same_thing_whenever_it_is_asked_for():
    first = {name: getattr(voicefit, name) for name in voicefit.__all__}
    assert {name: getattr(voicefit, name) for name in voicefit.__all__} == first
    assert all(callable(thing) for thing in first.values())


def test_no_module_takes_the_place_of_a_public_name_once_it_is_imported():
    assert [name for name in voicefit.__all__ if importlib.util.find_spec(f"voicefit.{name}")] == []
