"""The command that makes encoders small."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from voicefit.cli.left_out import tell_left_out
from voicefit.cli.terminal import notify, out, progress_bars
from voicefit.errors import VoicefitError
from voicefit.system.extras import require


def distill(
    teacher: Annotated[str, typer.Option(help="Hub id or directory of the encoder to learn from.")],
    audio: Annotated[list[Path], typer.Option(help="File or folder of unlabelled speech; give it once per folder.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Encoder directory to write.")],
    student: Annotated[
        str,
        typer.Option(
            help="teacher: the teacher itself, cut after the first of --layers. mini: a wav2vec 2.0 of 3 million "
            "weights, at random. Or a JSON file with a Wav2Vec2Config, or the directory of a student to train further."
        ),
    ] = "mini",
    layers: Annotated[str, typer.Option(help="Layers of the teacher to learn from, rising.")] = "1,2,3",
    epochs: Annotated[int, typer.Option(min=1, help="How often every recording is used.")] = 20,
    views: Annotated[int, typer.Option(min=1, help="Copies of each recording, differing in speed and gain.")] = 2,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows of up to 4 s in a step.")] = 8,
    lr: Annotated[float, typer.Option(min=1e-7, help="Peak learning rate.")] = 2e-3,
    precision: Annotated[Literal["float32", "bfloat16"], typer.Option(help="Of the matrix products.")] = "float32",
    seed: Annotated[int, typer.Option(help="Fixes everything that is drawn at random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished run.")] = False,
) -> None:
    """Make an encoder small: a small one learns from unlabelled speech to answer as a larger one does.

    Example: `voicefit distill --teacher openai/whisper-base --audio ~/recordings --out small-encoder`
    """
    require("train", "distill trains an encoder")
    from voicefit.distillation import DistillSettings
    from voicefit.distillation import distill as run
    from voicefit.export.encoder import complete_with_graph
    from voicefit.system.machine import devices

    settings = DistillSettings(
        layers=_numbers(layers),
        epochs=epochs,
        views=views,
        batch_size=batch_size,
        lr=lr,
        precision=precision,
    )
    with progress_bars() as progress:
        distilled = run(
            teacher,
            student,
            audio,
            out_dir,
            settings=settings,
            seed=seed,
            resume=resume,
            device=devices()[0],
            progress=progress,
        )
    complete_with_graph(out_dir, notify)
    tell_left_out(distilled.left_out, str(out_dir / "distillation.json"))
    out.print(
        f"learnt from {distilled.hours:.1f} hours; held-out loss {distilled.held_out_loss:.3f}, where an encoder that "
        f"answers zero has {distilled.silent_loss:.3f}; encoder: {out_dir}",
        soft_wrap=True,
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise VoicefitError(f"--layers {text}: give numbers with commas between, as 1,2,3") from error
