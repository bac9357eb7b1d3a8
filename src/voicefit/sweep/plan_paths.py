"""The paths in a plan: other ones in their place, and environment variables filled in."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from voicefit.errors import VoicefitError

Paths = Mapping[str, str | Path]
"""Name of an encoder or a corpus → where it is instead."""

_ENCODER, _CORPUS = "--encoder", "--corpus"
"""The options of ``voicefit sweep`` that name another path."""


def set_paths(plan: dict[str, Any], origin: str, encoders: Paths, corpora: Paths, keep_variables: bool = False) -> None:
    """Replace the paths that are wanted otherwise, and fill in environment variables and the home folder in all.

    Args:
        plan: the tables of a plan that is not checked yet, which are changed.
        origin: what the messages of errors begin with.
        encoders: name of an encoder → the directory or hub id to take in place of its source.
        corpora: name of a corpus or target → the path to take in place of its own.
        keep_variables: leave paths as they are whose environment variables are not set.

    Raises:
        VoicefitError: a name that the plan lacks; or environment variables that are not set, with all paths that need
            them.
    """
    _replace(plan, origin, {_ENCODER: encoders, _CORPUS: corpora})
    _expand_variables(plan, origin, keep_variables)


class _PathEntry(NamedTuple):
    """One path of a plan: the table and the key that hold it, its name in the plan, and the option that replaces it."""

    table: dict[str, Any]
    key: str
    name: str
    option: str


def _path_entries(plan: Mapping[str, Any]) -> Iterator[_PathEntry]:
    """Every path of a plan that is not checked yet; what is no table is left to the check."""
    for kind in ("corpora", "targets"):
        table = plan.get(kind)
        if isinstance(table, dict):
            yield from (_PathEntry(table, name, name, _CORPUS) for name in table)
    encoders = plan.get("encoders")
    if isinstance(encoders, dict):
        tables = ((name, entry) for name, entry in encoders.items() if isinstance(entry, dict))
        yield from (_PathEntry(entry, "source", name, _ENCODER) for name, entry in tables)


def _replace(plan: dict[str, Any], origin: str, replacements: Mapping[str, Paths]) -> None:
    """Replace paths by option and name."""
    entries = list(_path_entries(plan))
    for option, paths in replacements.items():
        known = dict.fromkeys(entry.name for entry in entries if entry.option == option)
        for name in paths:
            if name not in known:
                raise VoicefitError(f"{origin}: {option} {name}: the plan has no {name!r}; it has {', '.join(known)}")
    for entry in entries:
        if entry.name in replacements[entry.option]:
            entry.table[entry.key] = str(replacements[entry.option][entry.name])


def _expand_variables(plan: dict[str, Any], origin: str, keep_variables: bool) -> None:
    """Fill in environment variables and the home folder."""
    missing: list[_PathEntry] = []
    variables: dict[str, None] = {}
    for entry in _path_entries(plan):
        text = entry.table.get(entry.key)
        if not isinstance(text, str):
            continue
        expanded = os.path.expanduser(os.path.expandvars(text))
        if unset := re.findall(r"\$\{?(\w+)", expanded):
            missing.append(entry)
            variables.update(dict.fromkeys(unset))
        else:
            entry.table[entry.key] = expanded
    if missing and not keep_variables:
        paths = dict.fromkeys(str(entry.table[entry.key]) for entry in missing)
        options = dict.fromkeys(
            f"{entry.option} {entry.name}={'SOURCE' if entry.option == _ENCODER else 'PATH'}" for entry in missing
        )
        plural = "s" if len(variables) > 1 else ""
        raise VoicefitError(
            f"{origin}: {', '.join(paths)}: set the environment variable{plural} {' and '.join(variables)} to the "
            f"folder{plural} meant, or add {' '.join(options)}"
        )
