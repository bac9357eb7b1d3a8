"""Options and messages that several commands share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from voicefit.cli.terminal import notify
from voicefit.errors import VoicefitError
from voicefit.system.hub import MINI

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


Channel = Annotated[
    int | None, typer.Option(min=1, help="Of recordings with several channels, read the one of this number.")
]

Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn at random.")]


def source_and_rest(command: str, arguments: list[str], what: str, rest: str = "clips") -> tuple[str, str]:
    """Read ``[SOURCE] REST``, where the source is mini if it is left out.

    Args:
        command: its name, for messages.
        arguments: one or two.
        what: what the source is, as ``start``.
        rest: what is in the folder.

    Raises:
        VoicefitError: there are more.
    """
    if len(arguments) > 2:
        raise VoicefitError(f"{command}: {len(arguments)} arguments; give a {what}, or none, and one folder of {rest}")
    return (arguments[0], arguments[1]) if len(arguments) == 2 else (MINI, arguments[0])


def tell_of_mini(source: str) -> None:
    """Whose recordings the model that comes with Voicefit was made of, and what they allow."""
    from voicefit.checkpoints.record import read_record

    if source == MINI:
        notify(f"model: mini, which comes with Voicefit. {read_record(MINI)['terms']}")


def corpus_arguments(arguments: list[str]) -> Iterator[tuple[str, Path]]:
    """Read each ``NAME=PATH`` of a command.

    Raises:
        VoicefitError: one cannot be read, or two have the same name.
    """
    from voicefit.corpora import parse_corpus_argument

    seen = set()
    for argument in arguments:
        name, path = parse_corpus_argument(argument)
        if name in seen:
            raise VoicefitError(f"corpus {name} is given twice; give each its own name")
        seen.add(name)
        yield name, path
