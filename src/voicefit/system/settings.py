"""The base of what a user may set: an unknown name is refused, and the nearest known one is named."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """Settings that do not change later, and have no names but their fields'."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, given: Any) -> Any:
        unknown = [str(name) for name in given if name not in cls.model_fields] if isinstance(given, dict) else []
        if unknown:
            raise ValueError(unknown_name("key", unknown[0], cls.model_fields))
        return given


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no such name, which is nearest, and which there are.

    >>> unknown_name("key", "draw", ["k", "draws"])
    "unknown key 'draw'; did you mean 'draws'? There are k, draws"
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"unknown {kind} {name!r}; {f'did you mean {near[0]!r}? There' if near else 'there'} are {', '.join(names)}"
