"""The command that scores a model on labelled clips."""

from pathlib import Path
from typing import Annotated

import typer

from voicefit.cli.options import Channel, JsonFlag, tell_left_out, tell_of_mini
from voicefit.cli.terminal import escape, out, print_json, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.hub import MINI


def evaluate(
    model_and_clips: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] CLIPS",
            help="Directory or hub id of a model (mini, if left out), and a folder with a folder of audio files per "
            "label, or a table. Clips that the model was adapted on tell nothing.",
        ),
    ],
    together: Annotated[
        bool, typer.Option("--together", help="All clips are of one voice, in several emotions: label them together.")
    ] = False,
    channel: Channel = None,
    as_json: JsonFlag = False,
) -> None:
    """Score a model on labelled clips.

    Example: `voicefit evaluate my-model more-clips`, where more-clips holds `angry/1.wav`, `calm/1.wav` …
    """
    from voicefit.cli import tables
    from voicefit.prediction.evaluation import evaluate as run
    from voicefit.prediction.model import holds_model

    if len(model_and_clips) > 2:
        raise VoicefitError(f"evaluate: {len(model_and_clips)} arguments; give a model, or none, and one folder")
    model, clips = model_and_clips if len(model_and_clips) == 2 else (MINI, model_and_clips[0])
    if holds_model(Path(clips)):
        raise VoicefitError(f"{clips}: is a model; give labelled clips after it")
    tell_of_mini(model)
    with progress_bars() as progress:
        found = run(model, clips, together=together, channel=channel, progress=progress)
    tell_left_out(found.left_out)
    if as_json:
        print_json(found.to_json())
    else:
        out.print(tables.evaluation_table(found))
        low, high = found.interval
        out.print(
            f"{found.clips} clips: macro F1 {found.macro_f1:.3f} (95 % interval {low:.3f} to {high:.3f}; always the "
            f"most common label: {found.most_common:.3f}), UAR {found.uar:.3f}, accuracy {found.accuracy:.3f}",
            soft_wrap=True,
        )
        if found.remark():
            out.print(escape(found.remark()), soft_wrap=True)
