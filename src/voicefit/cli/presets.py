"""The command that lists the plans that come with Voicefit, and shows one."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from voicefit.cli.options import JsonFlag
from voicefit.cli.terminal import escape, out, print_json


def presets(
    name: Annotated[str, typer.Argument(help="Show this plan. Left out, all are listed.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """List the plans that come with Voicefit and what they need, or show one.

    Examples: `voicefit presets`, `voicefit presets clean > my-plan.toml`
    """
    from voicefit.sweep.presets import find_preset, preset_names

    found = [find_preset(each) for each in ([name] if name else preset_names())]
    if as_json:
        print_json([asdict(preset) | {"variables": preset.variables} for preset in found])
        return
    if name:
        sys.stdout.write(found[0].text)
        return
    table = Table(box=None, header_style="bold")
    table.add_column("preset", no_wrap=True)
    for column in ("what it asks", "encoders", "corpora", "targets", "variables to set"):
        table.add_column(column, overflow="fold")
    for preset in found:
        sources, corpora, targets = (
            ", ".join(dict.fromkeys(preset.encoders.values())),
            ", ".join(preset.corpora),
            ", ".join(preset.targets),
        )
        table.add_row(preset.name, *map(escape, (preset.about, sources, corpora, targets, ", ".join(preset.variables))))
    out.print(table)
    out.print(
        "next: voicefit presets NAME shows a plan; voicefit sweep --preset NAME --dry-run looks at it", soft_wrap=True
    )
    out.print("name folders of your own by --corpus NAME=PATH and --encoder NAME=SOURCE instead", soft_wrap=True)
