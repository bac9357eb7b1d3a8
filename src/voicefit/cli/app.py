"""The command line: parses, calls, prints; decides nothing."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from voicefit.cli import adapt, corpora, distill, evaluate, example, models, presets, serve, sweeps
from voicefit.cli.terminal import err, escape, out, take_any_name
from voicefit.errors import VoicefitError
from voicefit.system.extras import missing_extra
from voicefit.system.heap import keep_freed_memory, skip_last_collection
from voicefit.system.launch import is_rank_zero, only_rank_zero_reports

app = typer.Typer(
    name="voicefit",
    help="Fit a speech emotion classifier to one person's voice, from a few labelled clips.\n\n"
    "Begin with `voicefit example`, which writes clips to try, and names the next commands.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

_STOPPED = 130  # what typer makes of Ctrl-C
(_UsageError,) = typer.BadParameter.__bases__  # of all mistakes on a command line; typer does not export it


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin lose the core that a neighbour waits for
    skip_last_collection()
    take_any_name()
    try:
        with only_rank_zero_reports(_UsageError):
            sys.exit(app(standalone_mode=is_rank_zero()))  # standing alone, typer tells of mistakes itself
    except VoicefitError as error:
        _tell_error(str(error))
    except ModuleNotFoundError as error:
        missing = missing_extra(error)
        if missing is None:
            raise
        _tell_error(str(missing))
    except OSError as error:  # what the system refuses: a folder that may not be written to, a disk that is full
        _tell_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except SystemExit as end:
        if end.code == _STOPPED:
            err.print("stopped; the same command resumes from here where it can")
        raise


def _tell_error(text: str) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(text)}", soft_wrap=True)
    sys.exit(2)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed_version

        out.print(f"voicefit {installed_version('voicefit')}")
        raise typer.Exit
    if context.invoked_subcommand != "serve":  # which lives long, and should give back what a burst took
        keep_freed_memory()


_PANELS = {
    "Your voice": (
        example.example,
        adapt.adapt,
        models.predict,
        evaluate.evaluate,
        models.suggest,
        serve.serve,
        models.export,
        models.push,
    ),
    "Your corpora": (models.prefinetune, corpora.select, distill.distill),
    "Your experiment": (sweeps.demo, presets.presets, sweeps.sweep, sweeps.merge, sweeps.report),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(corpora.corpora_app, name="corpora", rich_help_panel="Your corpora")
