"""The site is built strictly: no link leads nowhere, and the reference has every command, key, method and corpus."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import voicefit
from voicefit.adaptation import METHODS
from voicefit.corpora import CORPORA
from voicefit.prefinetuning.settings import PrefinetuneSettings
from voicefit.sweep.plan import Grid, Plan

pytest.importorskip("mkdocs", reason="the site needs the extra docs")

pytestmark = pytest.mark.slow(10)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(site, page):
    return (site / page / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("reference/plan", [*Plan.model_fields, *Grid.model_fields, *PrefinetuneSettings.model_fields]),
        ("reference/methods", list(METHODS)),
        ("reference/corpora", list(CORPORA)),
        ("reference/api", [name for name in voicefit.__all__ if name != "VoicefitError"]),
        (
            "reference/commands",
            ["voicefit sweep", "voicefit corpora list", "--dry-run", "--unlabelled", "process or ray"],
        ),
        ("reference/presets", ["paper-code", "[[grid]]"]),
    ],
)
def test_the_reference_has_every_name(site, page, names):
    shown = re.sub(r"<[^>]+>", "", text_of(site, page))
    assert [name for name in names if name not in shown] == []


def test_pages_beside_the_docs_are_in_the_site(site):
    assert "macro F1" in text_of(site, "research/joint") and "Changelog" in text_of(site, "CHANGELOG")
    assert (site / "research" / "joint" / "index.html").is_file() and (
        site / "experiments" / "transferability.py"
    ).is_file()


def test_the_site_asks_nobody_else_for_anything(site):
    page = text_of(site, ".")
    fetched = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page)
    assert fetched == []
