"""What was not used and why, told in few lines."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from voicefit.cli.terminal import err, escape, notify

_SHOWN = 3
"""So many of a group are named, where all are named elsewhere."""


def tell_left_out(left_out: Mapping[str, str], where: str = "", voice: str = "") -> None:
    """Print what was not used and why, on standard error: a line for those of one folder and one reason.

    Args:
        left_out: a clip, a folder or a row → why it was not used.
        where: names all of them, so that three of a group will do here; empty where nothing does.
        voice: begins what is left out, where there are several voices.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for what, why in left_out.items():
        groups[_kind(what), re.sub(r"\d+", "0", why)].append(what)
    is_cut = False
    for (kind, _), group in groups.items():
        shown = group[:_SHOWN] if where else group
        is_cut |= len(shown) < len(group)
        reason = left_out[group[0]] + ("" if len({left_out[what] for what in group}) == 1 else "; the others alike")
        words = f"{voice}{group[0]} ({reason})" if len(group) == 1 else f"{voice}{_listed(kind, group, shown, reason)}"
        err.print(f"[yellow]left out:[/] {escape(words)}", soft_wrap=True)
    if is_cut:
        notify(f"all that is left out: {where}")


def _kind(what: str) -> str:
    """What kind of thing it is, and where: of a clip, the folder that is named after its label."""
    if row := re.fullmatch(r"row \d+ of (.+)", what):
        return f"rows of {row[1]}"
    if what.endswith("/"):
        return "folders"
    folder = what.rpartition("/")[0]
    return f"clips in {folder}" if folder else "clips"


def _listed(kind: str, group: Sequence[str], shown: Sequence[str], reason: str) -> str:
    folder = kind.removeprefix("clips in ") + "/" if kind.startswith("clips in ") else ""
    names = ", ".join(what.removeprefix(folder) for what in shown)
    more = f" and {len(group) - len(shown):,} more" if len(shown) < len(group) else ""
    return f"{len(group):,} {kind} ({reason}): {names}{more}"
