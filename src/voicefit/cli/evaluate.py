"""The command that scores a model on labelled clips."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voicefit.cli.left_out import tell_left_out
from voicefit.cli.options import Channel, JsonFlag, source_and_rest, tell_of_mini
from voicefit.cli.terminal import notify, out, print_json, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.extras import require
from voicefit.system.files import require_writable, write_text

if TYPE_CHECKING:
    from voicefit.prediction.scoring import Evaluation

_REMARKS = 3
"""Clips of which more than this need a word, as that a part was read, are counted; the CSV names all."""


def evaluate(
    model_and_clips: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] CLIPS",
            help="Directory or hub id of a model (mini, if left out), and a folder with a folder of audio files per "
            "label, or a table. Clips that the model was adapted on are left out.",
        ),
    ],
    together: Annotated[
        bool, typer.Option("--together", help="All clips are of one voice, in several emotions: label them together.")
    ] = False,
    channel: Channel = None,
    reject: Annotated[
        bool,
        typer.Option("--reject", help='The model may answer "none of these", right of a label that it does not know.'),
    ] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write a .csv, a row per clip.")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw confusion, F1 and calibration, as .svg, .pdf or .png.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="Write all of it as one .html file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score a model on labelled clips.

    Example: `voicefit evaluate my-model more-clips`, where more-clips holds `angry/1.wav`, `calm/1.wav` …
    """
    from voicefit.prediction.evaluation import evaluate as run
    from voicefit.prediction.model import holds_model

    model, clips = source_and_rest("evaluate", model_and_clips, "model")
    if holds_model(Path(clips)):
        raise VoicefitError(f"{clips}: is a model; give labelled clips after it")
    _require_outputs(csv, figure, page)
    tell_of_mini(model)
    with progress_bars() as progress:
        found = run(model, clips, together=together, channel=channel, reject=reject, progress=progress)
    tell_left_out(found.left_out, "--json")
    _tell_remarks(found)
    _write(found, csv, figure, page, model, clips)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)


def _require_outputs(csv: Path | None, figure: Path | None, page: Path | None) -> None:
    """Refuse outputs that cannot be written, before the work."""
    if csv is not None:
        if csv.suffix.lower() != ".csv":
            raise VoicefitError(f"--csv {csv}: give a file that ends in .csv")
        require_writable(csv)
    if figure is None and page is None:
        return
    require("report", "--figure and --page draw")
    from voicefit.report.evaluation import require_figure, require_page

    if figure is not None:
        require_figure(figure)
    if page is not None:
        require_page(page)


def _write(
    found: "Evaluation", csv: Path | None, figure: Path | None, page: Path | None, model: str, clips: str
) -> None:
    if csv is not None:
        from voicefit.prediction.evaluation import evaluation_csv

        write_text(csv, evaluation_csv(found))
    if figure is not None:
        from voicefit.report.evaluation import draw_evaluation

        draw_evaluation(found, figure)
    if page is not None:
        from voicefit.report.evaluation import write_page

        write_page(found, page, model, clips)


def _tell_remarks(found: "Evaluation") -> None:
    for words in found.remarks:
        notify(words)
    remarks = [f"{one.clip}: {one.prediction.remark}" for one in found.answers if one.prediction.remark]
    for line in remarks[:_REMARKS]:
        notify(line)
    if len(remarks) > _REMARKS:
        notify(f"{len(remarks) - _REMARKS} more clips have such a remark; --csv has all of them")


def _print(found: "Evaluation") -> None:
    from voicefit.cli import tables

    out.print(tables.evaluation_table(found))
    low, high = found.intervals["macro_f1"]
    out.print(
        f"{found.clips} clips: macro F1 {found.macro_f1:.3f} (95 % interval {low:.3f} to {high:.3f}; always the "
        f"most common label: {found.most_common:.3f}), UAR {found.uar:.3f}, accuracy {found.accuracy:.3f}",
        soft_wrap=True,
    )
    if not found.calibration.bins:
        return
    out.print(
        f"{found.calibration.confidence:.3f} sure on average; expected calibration error {found.calibration.error:.3f}",
        soft_wrap=True,
    )
    out.print(tables.calibration_table(found))
