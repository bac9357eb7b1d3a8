"""The reference pages of the site, made from the code: commands, plan, methods, corpora, presets, Python."""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
import typer.models
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import voicefit
from voicefit.adaptation import METHODS
from voicefit.cli.app import app
from voicefit.corpora import corpus_infos
from voicefit.corpora.download import SOURCES
from voicefit.encoders.front_end import FrontEnd
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.sweep.plan import EncoderPlan, Grid, Plan
from voicefit.sweep.planned_method import Unlabelled
from voicefit.sweep.presets import find_preset, preset_names


def reference_pages() -> dict[str, str]:
    """Make every page: its place in the site → its Markdown."""
    made = {
        "commands": _commands(),
        "plan": _plan(),
        "methods": _methods(),
        "corpora": _corpora(),
        "presets": _presets(),
        "api": _api(),
    }
    return {f"reference/{name}.md": text for name, text in made.items()}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table; bars within a cell are escaped."""
    names = list(head)
    lines = [
        names,
        ["---"] * len(names),
        *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _commands() -> str:
    """Write each command with its arguments and options."""
    parts = ["# Commands\n\n`voicefit COMMAND --help` prints the same.\n"]
    for name, function in _walk(app, "voicefit"):
        items = [_Item(*pair) for pair in inspect.signature(function, eval_str=True).parameters.items()]
        usage = " ".join([name, *(item.words for item in items if item.is_argument), "[OPTIONS]"])
        parts.append(f"## {name}\n\n{inspect.cleandoc(function.__doc__ or '')}\n\n    {usage}\n")
        rows = [[f"`{item.words}`", item.help, item.default] for item in items]
        parts.append(_table(["argument or option", "what", "default"], rows))
    return "\n".join(parts)


def _walk(group: typer.Typer, name: str) -> Iterable[tuple[str, Callable[..., Any]]]:
    """Yield the name and the function of each command."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{name} {command.name or command.callback.__name__.replace('_', '-')}", command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from _walk(inner.typer_instance, f"{name} {inner.name}")


class _Item:
    """An argument or an option of a command, as its function declares it."""

    def __init__(self, name: str, parameter: inspect.Parameter) -> None:
        kind, info = get_args(parameter.annotation)[:2]
        self.is_argument = isinstance(info, typer.models.ArgumentInfo)
        self.help = info.help or ""
        needed = parameter.default is inspect.Parameter.empty
        empty = parameter.default is None or parameter.default is False or parameter.default == ""
        self.default = "needed" if needed else "" if empty else f"`{parameter.default}`"
        if self.is_argument:
            self.words = info.metavar or name.upper()
            return
        # In Annotated, typer takes the first of an option's own names for its default.
        own = [*([info.default] if isinstance(info.default, str) else []), *(info.param_decls or ())]
        names = own or ["--" + name.replace("_", "-")]
        self.words = names[0].replace("/", " or ") if kind is bool else ", ".join(names)
        self.words += "" if kind is bool else f" {info.metavar or _value(kind)}"


def _value(kind: Any) -> str:
    """Say what an option takes."""
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    inner = [each for each in get_args(kind) if each is not type(None)]
    if inner:
        return _value(inner[0])
    return {int: "NUMBER", float: "NUMBER", Path: "PATH"}.get(kind, "TEXT")


_PLAN = """# Keys of a plan

A plan is a TOML file. A key that it does not know is an error that names the nearest one. `$NAME` in a path stands for
an environment variable. [Your experiment](../start/experiment.md) has a plan to begin with.

## At the top

{plan}
## `[encoders.NAME]`

A table for each encoder, under a name of your own. Trials and reports call it by that name.

{encoder}
## `[encoders.NAME.front_end]`

{front_end}
## `[corpora]` and `[targets]`

A line for each corpus: `ravdess = "~/data/RAVDESS"`. The name is one of the [corpora](corpora.md), or one of your own
for a folder or a table. Corpora are pre-finetuned on; targets hold the new speakers.

## `[prefinetune]`

What differs from the protocol's settings. `prefinetune = {{ … }}` under an encoder differs for that one alone.

{prefinetune}
## `[methods.NAME]`

Settings of a method ([all of them](methods.md)). A name of your own stands for the method that its key `method` names.
Methods that learn from recordings without labels also take:

{unlabelled}
## `[[grid]]`

Write it once for each block of trials. A block is every combination of its lists.

{grid}"""


def _plan() -> str:
    """Write each key of a plan, by table."""
    return _PLAN.format(
        plan=_fields(Plan),
        encoder=_fields(EncoderPlan),
        front_end=_fields(FrontEnd),
        prefinetune=_fields(PrefinetuneSettings, PrefinetuneSettings.for_protocol("paper")),
        unlabelled=_fields(Unlabelled),
        grid=_fields(Grid),
    )


def _fields(model: type[BaseModel], other: BaseModel | None = None) -> str:
    """Write a table of a model's fields; beside the defaults those of the ``paper`` protocol, where given."""
    head = ["key", "what", "values", "default", *(["under `paper`"] if other else [])]
    rows = []
    for name, field in model.model_fields.items():
        row = [f"`{name}`", field.description or "", _type_words(field), _default(field)]
        if other:
            value = getattr(other, name)
            row.append("" if value == field.default else f"`{_toml(value)}`")
        rows.append(row)
    return _table(head, rows)


_LIMITS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
_KINDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def _type_words(field: Any) -> str:
    """Say in words which values a field takes."""
    return ", ".join([_kind(field.annotation), *_limits(field.metadata)])


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), [each for each in get_args(annotation) if each is not type(None)]
    if origin is Literal:
        return " or ".join(f"`{_toml(value)}`" for value in inner)
    if origin is Annotated:
        return ", ".join([_kind(inner[0]), *(limit for each in inner[1:] for limit in _limits(each.metadata))])
    if origin is list:
        return (
            "tables" if isinstance(inner[0], type) and issubclass(inner[0], BaseModel) else f"list of {_kind(inner[0])}"
        )
    if origin is dict:
        return "table"
    if inner:
        return " or ".join(map(_kind, inner))
    return _KINDS.get(annotation, "table")


def _limits(rules: Iterable[Any]) -> list[str]:
    return [f"{sign} {getattr(rule, name)}" for rule in rules for name, sign in _LIMITS if hasattr(rule, name)]


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None or isinstance(field.default, BaseModel) or field.default in ({}, ""):
        return ""
    return f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _methods() -> str:
    """Write each method with what it needs and its settings."""
    parts = [
        "# Methods\n\n`voicefit adapt --method NAME` and a plan take these. `prior` and `joint` are the ones to use.\n"
    ]
    for name in METHODS:
        method = METHODS[name]
        about = inspect.cleandoc(inspect.getmodule(method.fit).__doc__ or "")
        kinds = [
            (method.trains_encoder, "trains the encoder (extra `train`)"),
            (method.needs_prior, "needs a pre-finetuned start"),
            (method.uses_unlabelled, "uses recordings without labels"),
            (method.needs_validation, "picks its epoch on labelled clips beyond the shots: protocol `paper` alone"),
        ]
        facts = "; ".join([f"version {method.version}", *(words for holds, words in kinds if holds)])
        parts.append(f"## {name}\n\n{_plain(about)}\n\n*{facts}.*\n")
        if method.settings_type.model_fields:
            parts.append(_fields(method.settings_type))
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Turn the marks of docstrings into Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text).replace("::\n", ":\n")


_CORPORA = """---
hide: [toc]
---
# Corpora

Counts are those that their authors publish. *download* says whether `voicefit corpora download` fetches it.
[What to know of each](../how-to/corpora.md) has layouts.

"""


def _corpora() -> str:
    """Write each corpus of the registry with its published counts and terms."""
    rows = []
    for info in corpus_infos():
        title = f"[{info.title}]({info.homepage})" if info.homepage else info.title
        counts = ["" if n is None else f"{n:,}" for n in (info.expected_speakers, info.expected_clips)]
        labels = str(len(info.expected_labels) or "")
        fetched = "yes" if info.name in SOURCES else ""
        rows.append([f"`{info.name}`", title, info.language, *counts, labels, info.licence, info.usage, fetched])
    head = ["name", "corpus", "language", "speakers", "clips", "labels", "licence", "use", "download"]
    return _CORPORA + _table(head, rows)


def _presets() -> str:
    """Write each plan that comes with Voicefit, whole."""
    parts = ["# Presets\n\n`voicefit presets NAME` prints one; `voicefit sweep --preset NAME --dry-run` looks at it.\n"]
    parts += [f"## {name}\n\n```toml\n{find_preset(name).text}```\n" for name in preset_names()]
    return "\n".join(parts)


def _api() -> str:
    """Name every public function and class, for mkdocstrings to fill in."""
    homes = voicefit._HOMES
    names = sorted((name for name in voicefit.__all__ if name in homes), key=lambda name: (name[0].isupper(), name))
    made = [f"::: {homes[name]}.{name}\n" for name in names]
    return "\n".join(["# Python\n\nEverything here is a name of `voicefit`, as `voicefit.adapt`.\n", *made])
