"""The command that writes clips to try Voicefit with: parses, calls, prints; decides nothing."""

from pathlib import Path
from typing import Annotated

import typer

from voicefit.cli.terminal import escape, out


def example(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Folder to write.")] = Path("example"),
) -> None:
    """Write clips of a synthetic voice, to try the commands with.

    Example: `voicefit example`, then `voicefit adapt example/clips --out example-model`
    """
    from voicefit.api import write_example

    path = write_example(folder)
    out.print(escape(f"clips of a synthetic voice: {path}; see {path / 'README.md'}"), soft_wrap=True)
    for line in (
        f"voicefit adapt {path}/clips --out example-model",
        f"voicefit predict example-model {path}/new-clip.ogg",
        f"voicefit evaluate example-model {path}/more-clips",
    ):
        out.print(f"    {escape(line)}", soft_wrap=True)
