"""Public names that are imported on first use: torch takes seconds that `voicefit --help` need not spend."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from voicefit.system.extras import missing_extra
from voicefit.system.heap import importing


def lazy_names(module: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for a module.

    Args:
        module: its name, for the message of an unknown attribute.
        homes: public name → the module that defines it.

    The function raises a ``VoicefitError`` where the module needs an extra that is not installed.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        try:
            with importing():
                return getattr(importlib.import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error

    return get
