"""A run's folder in, a page that stands alone out."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import voicefit.report
from support.synthetic_runs import RECORD, grid, row, table
from voicefit.errors import VoicefitError
from voicefit.report import build_report, k_curve_figure
from voicefit.report.build import read_history, summary, write_report
from voicefit.report.page import flatten, progress, web_address
from voicefit.report.statistics import finished
from voicefit.sweep import TrialSpec, TrialStore

HOSTILE = "<script>alert('x')</script>"


class Tags(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.found


def add_history(run, start, corpora):
    folder = run / "checkpoints" / "tiny" / start
    folder.mkdir(parents=True)
    columns = {f"validation_macro_f1/{corpus}": [0.2, 0.4] for corpus in corpora}
    history = {"epoch": [1, 2], "train_loss": [2.0, 1.0], "validation_mean_macro_f1": [0.2, 0.4]} | columns
    pd.DataFrame(history).to_csv(folder / "history.csv", index=False)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a run with everything in it, hostile names among the rest."""
    return write_everything(tmp_path_factory.mktemp("run"))


def write_everything(run):
    trials = grid({"none": 0.5, "a": 0.55, "a+b": 0.6})
    trials.loc[trials["label"] == "fear", "label"] = HOSTILE
    failure = row(error=f"ValueError: {HOSTILE}", macro_f1=np.nan, draw=1)
    add_history(run, "a", ["a"])
    add_history(run, "a+b", ["a", "b"])
    (run / "checkpoints" / "tiny" / "b").mkdir()
    (run / "checkpoints" / "tiny" / "b" / "history.csv").touch()
    hostile = {"title": HOSTILE, "homepage": "javascript:alert(1)", "left_out": {HOSTILE: "silent"}}
    record = RECORD | {"planned_trials": 1200, "corpora": RECORD["corpora"] | {"bad": hostile}}
    page = write_report(run, record, pd.concat([trials, table(failure)], ignore_index=True))
    return page.parent


@pytest.fixture(scope="module")
def page(report):
    return (report / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow(17)
def test_the_page_stands_alone(page):
    for tag, attributes in tags(page):
        assert tag not in {"link", "iframe", "object", "embed", "base", "img"}
        assert "src" not in attributes
        if tag != "a":
            assert all(attributes.get(name, "#").startswith(("#", "data:")) for name in ("href", "xlink:href"))
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)


@pytest.mark.slow(1)
def test_names_from_outside_are_escaped(page):
    script = (Path(voicefit.report.__file__).parent / "page.js").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, flags=re.DOTALL) == [f"\n{script}"]
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert" in page
    assert not any("javascript:" in (attributes.get("href") or "") for _, attributes in tags(page))


@pytest.mark.slow(1)
def test_ids_are_unique(page):
    ids = [attributes["id"] for _, attributes in tags(page) if "id" in attributes]

    assert sorted(ids) == sorted(set(ids))


@pytest.mark.slow(1)
def test_the_page_says_what_was_found_and_how_far_it_is(page):
    assert "partial: 73 of 1,200 trials" in page  # one of them failed
    assert "72 finished trials" in page
    assert "<h1>With 2 clips, pre-finetuning on a + b lifts macro F1 from 0.52 to" in page
    assert "1 failed trial" in page
    assert "grid.k" in page and "CC BY-NC-SA 4.0" in page and "no sound in it" in page


@pytest.mark.slow(1)
def test_every_figure_is_there_with_its_data(report, page):
    names = {"macro-f1", "gain", "gain-by-corpora", "speakers", "labels", "subsets", "corpora", "learning"}
    names |= {"macro-f1-by-seconds"}

    assert {path.name for path in (report / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("svg", "pdf")
    }
    tables = {"floors", "seconds", "failures", "claims", "effects", "methods"}
    assert {path.stem for path in (report / "data").iterdir()} == names | tables
    assert all(path.read_bytes().startswith(b"%PDF-") for path in (report / "figures").glob("*.pdf"))
    linked = {link["href"] for tag, link in tags(page) if tag == "a" and (link["href"] or "").startswith("figures/")}
    assert linked == {f"figures/{name}.{suffix}" for name in names for suffix in ("svg", "pdf")}
    gains = pd.read_csv(report / "data" / "gain.csv")
    assert gains[gains["start"] == "a+b"]["gain"].tolist() == pytest.approx([0.1] * 4)
    by_corpora = pd.read_csv(report / "data" / "gain-by-corpora.csv")
    assert by_corpora.groupby("corpora")["gain"].mean().to_dict() == pytest.approx({1: 0.05, 2: 0.1})


@pytest.mark.slow(20)
def test_a_report_is_the_same_twice(report, tmp_path):
    again = write_everything(tmp_path)
    once, twice = ({path.name: path.read_bytes() for path in made.rglob("*.*")} for made in (report, again))

    assert once == twice


@pytest.mark.slow(4)
def test_learning_curves_stand_with_their_encoder(tmp_path, without_pdfs):
    add_history(tmp_path, "a", ["a"])
    trials = table(*(row(start=start, encoder=name) for start in ("none", "a") for name in ("small", "tiny")))

    write_report(tmp_path, RECORD, trials)

    drawn = {path.name for path in (tmp_path / "report" / "figures").glob("*learning.svg")}
    assert drawn == {"2-learning.svg"}
    assert read_history(tmp_path)[["encoder", "start", "epoch"]].values.tolist() == [
        ["tiny", "a", 1],
        ["tiny", "a", 2],
    ]


def test_learning_curves_of_a_starting_point_that_is_being_written_are_left_out(tmp_path):
    add_history(tmp_path, "a", ["a"])
    add_history(tmp_path, ".b-0123.part", ["b"])
    assert set(read_history(tmp_path)["start"]) == {"a"}


@pytest.mark.slow(1)
def test_the_summary_has_exactly_its_keys(report):
    cells = json.loads((report / "summary.json").read_text())

    keys = ["start", "method", "target", "k", "macro_f1", "low", "high", "trials", "encoder", "protocol"]
    assert all(list(cell) == keys for cell in cells)
    assert len(cells) == 3 * 2 * 2
    first = next(cell for cell in cells if (cell["start"], cell["method"], cell["k"]) == ("a", "full", 2))
    assert first["macro_f1"] == pytest.approx(0.56)
    assert first["trials"] == 6


def test_the_summary_has_no_multiclass_and_no_nan():
    trials = table(row(macro_f1=0.5), row(task="multiclass", label="", macro_f1=0.9))

    assert summary(finished(trials)) == [
        {
            "start": "none",
            "method": "head",
            "target": "nemo",
            "k": 2,
            "macro_f1": 0.5,
            "low": None,
            "high": None,
            "trials": 1,
            "encoder": "tiny",
            "protocol": "clean",
        }
    ]


def test_the_summary_keeps_encoders_and_protocols_apart():
    trials = table(
        row(macro_f1=0.5),
        row(macro_f1=0.7, encoder="big"),
        row(macro_f1=0.9, protocol="paper"),
        row(draw=1, macro_f1=0.6),
    )
    scores = {(cell["encoder"], cell["protocol"]): cell["macro_f1"] for cell in summary(finished(trials))}
    assert scores == {("big", "clean"): 0.7, ("tiny", "clean"): pytest.approx(0.55), ("tiny", "paper"): 0.9}


def test_a_second_report_takes_the_first_ones_place(tmp_path, without_pdfs):
    lone = table(row())
    write_report(tmp_path, RECORD, lone)
    (tmp_path / "report" / "stale.txt").touch()
    write_report(tmp_path, RECORD | {"planned_trials": 1}, lone)

    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert not (tmp_path / "report" / "stale.txt").exists()
    assert "partial" not in (tmp_path / "report" / "index.html").read_text()


def test_a_failing_report_leaves_the_old_one(tmp_path, without_pdfs):
    write_report(tmp_path, RECORD, table(row()))
    before = (tmp_path / "report" / "index.html").read_bytes()
    with pytest.raises(TypeError):
        write_report(tmp_path, RECORD | {"planned_trials": None}, table(row()))

    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    assert (tmp_path / "report" / "index.html").read_bytes() == before


def test_settings_are_kept_apart(tmp_path, without_pdfs):
    trials = table(row(macro_f1=0.5), row(task="multiclass", label="", macro_f1=0.2))
    page = write_report(tmp_path, RECORD, trials).read_text(encoding="utf-8")

    assert "multiclass, tiny, clean protocol" in page
    assert page.index("one-vs-rest, tiny") < page.index("multiclass, tiny")
    assert pd.read_csv(tmp_path / "report" / "data" / "1-macro-f1.csv")["macro_f1"].min() >= 0.5
    assert pd.read_csv(tmp_path / "report" / "data" / "2-macro-f1.csv")["macro_f1"].max() < 0.4


@pytest.mark.parametrize("missing", ["run.json", "trials.sqlite"])
def test_another_folder_is_refused(tmp_path, missing):
    for name in {"run.json", "trials.sqlite"} - {missing}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(VoicefitError, match=f"not a run directory, it has no {missing}"):
        build_report(tmp_path)


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / "trials.sqlite").touch()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(VoicefitError, match="not readable as JSON"):
        build_report(tmp_path)


def test_a_run_without_a_finished_trial_is_refused(tmp_path):
    with pytest.raises(VoicefitError, match=r"no finished trial to report \(1 failed\)"):
        write_report(tmp_path, RECORD, table(row(error="boom", macro_f1=np.nan)))
    assert list(tmp_path.iterdir()) == []


def test_the_trials_come_from_the_runs_store(tmp_path, without_pdfs):
    spec = TrialSpec("tiny", "a", "", "nemo", "clean", "one-vs-rest", "head", "", "anna", "anger", 2, 0, 0)
    with TrialStore(tmp_path / "trials.sqlite") as store:
        store.add(spec, {"macro_f1": 0.625, "floor_never": 0.45, "floor_coin": 0.44, "seconds": 0.1})
    (tmp_path / "run.json").write_text(json.dumps(RECORD))

    assert build_report(tmp_path) == tmp_path / "report" / "index.html"
    assert [cell["macro_f1"] for cell in json.loads((tmp_path / "report" / "summary.json").read_text())] == [0.625]


def test_readme_figure(tmp_path):
    trials = grid({"none": 0.5, "a$b$": 0.6})

    svg = k_curve_figure(trials, tmp_path / "curve.svg").read_text()
    k_curve_figure(trials, tmp_path / "curve.png")

    assert 'width="576pt" height="324pt"' in svg
    assert "a$b$" in svg
    assert {path.name for path in tmp_path.iterdir()} == {"curve.svg", "curve.png"}
    assert svg == k_curve_figure(trials, tmp_path / "curve.svg").read_text()


def test_readme_figure_refuses_what_it_cannot_draw(tmp_path):
    with pytest.raises(VoicefitError, match=r"svg or \.png"):
        k_curve_figure(table(row()), tmp_path / "curve.gif")
    with pytest.raises(VoicefitError, match="no finished one-vs-rest trial"):
        k_curve_figure(table(row(task="multiclass")), tmp_path / "curve.svg")


def test_plain_pieces():
    assert progress(1200, 33600) == "partial: 1,200 of 33,600 trials"
    assert progress(5, 5) == ""
    assert flatten({"grid": {"k": [2, 4], "starts": [["a"], []]}, "on": True, "off": None}) == [
        ("grid.k", "2, 4"),
        ("grid.starts", "[a], []"),
        ("on", "true"),
        ("off", "–"),
    ]
    assert flatten({"grid": [{"k": [2]}, {"k": [4], "draws": 1}]}) == [
        ("grid.1.k", "2"),
        ("grid.2.k", "4"),
        ("grid.2.draws", "1"),
    ]
    assert web_address("https://example.org") == "https://example.org"
    assert web_address("javascript:alert(1)") == web_address(None) == ""


@pytest.mark.slow(6)
def test_two_targets_have_a_map_each(tmp_path, without_pdfs):
    starts = {"none": 0.5, "a": 0.55, "b": 0.6}
    trials = pd.concat([grid(starts), grid(starts, target="other")], ignore_index=True)
    page = write_report(tmp_path, RECORD, trials).read_text(encoding="utf-8")

    drawn = {path.name for path in (tmp_path / "report" / "figures").glob("subsets*.svg")}
    assert drawn == {"subsets.svg", "subsets-2.svg"}
    assert "Gain by set of corpora and label, other" in page
    assert set(pd.read_csv(tmp_path / "report" / "data" / "subsets-2.csv")["target"]) == {"other"}


@pytest.mark.slow(3)
def test_methods_that_score_the_same_are_not_told_apart_by_chance(tmp_path, without_pdfs):
    trials = grid({"none": 0.5, "a": 0.55, "b": 0.6})
    trials["macro_f1"] = trials["start"].map({"none": 0.5, "a": 0.55, "b": 0.6})
    page = write_report(tmp_path, RECORD, trials).read_text(encoding="utf-8")

    named = set(pd.read_csv(tmp_path / "report" / "data" / "speakers.csv")["method"])
    assert [f"Method {method} on nemo, 3 speakers" in page for method in named] == [True]


def test_short_times_are_not_rounded_to_nothing(tmp_path, without_pdfs):
    trials = table(row(seconds=0.00204), row(seconds=0.00204, draw=1), row(seconds=3.14159, k=4))
    page = write_report(tmp_path, RECORD, trials).read_text(encoding="utf-8")

    assert "<td>0.0020<small>95 %: 0.0020</small></td>" in page
    assert "<td>3.14<small>95 %: 3.14</small></td>" in page


@pytest.mark.slow(2)
def test_methods_that_share_no_clips_are_reported_without_comparing_them(tmp_path, without_pdfs):
    trials = grid({"none": 0.5, "a": 0.6})
    apart = pd.concat([trials[(trials["method"] == m) & (trials["k"] == k)] for m, k in (("head", 2), ("full", 4))])

    page = write_report(tmp_path, RECORD, apart).read_text(encoding="utf-8")

    assert "Methods against" not in page
    assert "Macro F1 by k, nemo" in page
