"""The report's page: one HTML file that needs no other file."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from voicefit.report.not_run import not_run_table
from voicefit.report.tables import Table
from voicefit.report.text import count
from voicefit.report.writer import Section
from voicefit.sweep.both_sides import describe_known, describe_shared

HERE = Path(__file__).parent
"""The folder of the page's template, style and script."""


def render(
    run: dict[str, Any],
    tried: int,
    done: int,
    failures: Table | None,
    sections: list[Section],
    reload: int | None = None,
) -> str:
    """Render the sections and the run's record as one page.

    Args:
        run: the contents of `run.json`.
        tried: the number of trials that ended, in a score or in an error.
        done: the number of those with a score.
        failures: the failed trials, if there are any.
        sections: the sections, in order.
        reload: the page reloads itself after so many seconds; None for a page that does not.

    Returns:
        HTML that loads nothing, and forbids the browser to load anything; every text of the run is escaped.
    """
    same_audio = run.get("same_audio") or {}
    lines = [line for name, pairs in same_audio.items() for line in describe_shared(name, pairs)]
    script = f"\n{(HERE / 'page.js').read_text(encoding='utf-8')}"
    return (
        environment()
        .get_template("page.html")
        .render(
            css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=source_hash(script),
            run=run,
            done=done,
            reload=Markup(reload_tag(reload)) if reload else "",
            reload_seconds=reload,
            progress=progress(tried, int(run.get("planned_trials", 0))),
            failures=failures,
            not_run=not_run_table(run),
            same_audio=same_audio,
            same_audio_lines=[*lines, *_known_targets(run)],
            sections=sections,
            corpora=[{"name": name, **corpus} for name, corpus in run.get("corpora", {}).items()],
            settings=flatten(run.get("plan", {})),
            machine=flatten(run.get("machine", {})),
        )
    )


def _known_targets(run: dict[str, Any]) -> list[str]:
    """Lines about targets that an encoder had learnt from before the run; older runs do not say."""
    encoders = {name: encoder.get("learnt_from", []) for name, encoder in (run.get("encoders") or {}).items()}
    corpora, names = run.get("corpora") or {}, (run.get("plan") or {}).get("targets") or {}
    return describe_known(encoders, {name: corpora[name] for name in names if name in corpora})


def reload_tag(seconds: int) -> str:
    """Return the HTML tag with which a page reloads itself."""
    return f'<meta http-equiv="refresh" content="{seconds}">'


def progress(tried: int, planned: int) -> str:
    """Return the progress of a run: "partial: 1,200 of 33,600 trials"; empty once all trials have ended."""
    return f"partial: {tried:,} of {count(planned, 'trial')}" if tried < planned else ""


def flatten(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as rows: {"grid": [{"k": [2, 4]}]} gives ("grid.1.k", "2, 4").

    Args:
        settings: nested dictionaries, and lists of them, of plain values.
        prefix: put before every name.

    Returns:
        Dotted name and value, in the order given.
    """
    rows = []
    for name, value in settings.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(i): item for i, item in enumerate(value, start=1)}
        if isinstance(value, dict) and value:
            rows += flatten(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _plain(value)))
    return rows


def web_address(address: Any) -> str:
    """Return the address if a browser may follow it (http or https), otherwise an empty string."""
    text = str(address or "")
    return text if urlsplit(text).scheme in ("http", "https") else ""


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"[{_plain(item)}]" if isinstance(item, list) else _plain(item) for item in value)
    if value is None or value == {}:
        return "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


def source_hash(script: str) -> str:
    """Return the name of the one script that may run, in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@cache
def environment() -> Environment:
    """Return the templates of pages; what they are given is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["web_address"] = web_address
    environment.filters["count"] = count
    return environment
