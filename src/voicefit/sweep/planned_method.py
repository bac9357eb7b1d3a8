"""A method as a plan names it: with its settings, and with clips of the speaker that come without labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voicefit.adaptation import METHODS, ConfiguredMethod, find_method
from voicefit.errors import VoicefitError


@dataclass(frozen=True)
class PlannedMethod:
    """A method of a plan: a column of reports.

    Attributes:
        configured: the method and its settings.
        unlabelled: how many clips of the speaker's pool it gets without labels.
        unlabelled_label: the label that these are drawn from; empty for any.
    """

    configured: ConfiguredMethod[Any]
    unlabelled: int = 0
    unlabelled_label: str = ""


class Unlabelled(BaseModel):
    """What an entry of a plan's methods may ask for beside the method's own settings."""

    model_config = ConfigDict(frozen=True)

    unlabelled: int = Field(0, ge=0, description="clips of the speaker's pool that come without labels")
    unlabelled_label: str = Field("", description="draw these from one label alone, as from neutral speech")


def read_planned_method(name: str, entry: Mapping[str, Any]) -> PlannedMethod:
    """Read an entry of a plan's methods.

    Args:
        name: the plan's name for the method.
        entry: ``method``, the name in the registry, where ``name`` is one of the plan's own; ``unlabelled`` and
            ``unlabelled_label``, see :class:`PlannedMethod`; all else are settings of the method.

    Raises:
        VoicefitError: the method is unknown, the name is that of another, or the method learns nothing from unlabelled
            clips.
        ValidationError: a setting is unknown or out of range.
    """
    settings = dict(entry)
    registered = settings.pop("method", name)
    if not isinstance(registered, str) or (name in METHODS and registered != name):
        raise VoicefitError(f"method {name!r} cannot stand for {registered!r}; take a name of your own")
    method = find_method(registered)
    asked = {field: settings.pop(field) for field in Unlabelled.model_fields if field in settings}
    if asked and not method.uses_unlabelled:
        users = ", ".join(user.name for user in METHODS.values() if user.uses_unlabelled)
        raise VoicefitError(
            f"{next(iter(asked))}: method {method.name!r} learns nothing from unlabelled clips; these do: {users}"
        )
    configured, unlabelled = method.configured(**settings), Unlabelled(**asked)
    return PlannedMethod(configured, unlabelled.unlabelled, unlabelled.unlabelled_label)
