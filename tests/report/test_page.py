"""The page in a browser: what a reader can do with it."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from support.synthetic_runs import RECORD, grid, row, table
from voicefit.report.build import write_report

pytestmark = pytest.mark.slow(2)

STARTS = {"none": 0.5, "a": 0.55, "b": 0.57, "a+b": 0.6, "c": 0.46, "a+c": 0.58, "b+c": 0.59}
SCORES = "Macro F1 by k, nemo"
GAINS = "Gain over no pre-finetuning, nemo"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    failure = table(row(error="ValueError: boom", macro_f1=np.nan, draw=1))
    trials = pd.concat([grid(STARTS), failure], ignore_index=True)
    return write_report(run, RECORD | {"planned_trials": len(trials) - 1}, trials).as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the page with the given settings; anything loaded besides it, and every complaint, fails the test."""

    @contextmanager
    def opened(**settings):
        page = browser.new_page(**settings)
        page.set_default_timeout(20_000)
        requests: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda sent: requests.append(sent.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        yield page
        page.close()
        assert requests == [address]
        assert complaints == []

    return opened


def column(page, title, index):
    """The visible cells of one column, without their small print."""
    rows = page.get_by_role("region", name=title, exact=True).locator("tbody tr:visible")
    return rows.evaluate_all(f"rows => rows.map(row => row.cells[{index}].firstChild.textContent.trim())")


def header(page, title, name):
    return page.get_by_role("region", name=title, exact=True).get_by_role("columnheader", name=name)


def test_a_column_is_sorted_by_number_and_back(visit):
    with visit() as page:
        written = column(page, GAINS, 1)
        gains = header(page, GAINS, "k = 2")

        gains.get_by_role("button").click()
        assert gains.get_attribute("aria-sort") == "ascending"
        assert column(page, GAINS, 2)[:3] == ["−0.040", "−0.040", "+0.050"]
        assert column(page, GAINS, 0)[:2] == ["full", "head"]
        gains.get_by_role("button").click()
        assert gains.get_attribute("aria-sort") == "descending"
        assert column(page, GAINS, 2)[:3] == ["+0.100", "+0.100", "+0.090"]
        gains.get_by_role("button").click()
        assert gains.get_attribute("aria-sort") is None
        assert column(page, GAINS, 1) == written


def test_words_are_sorted_with_the_keyboard(visit):
    with visit() as page:
        starts = header(page, SCORES, "starting point")
        starts.get_by_role("button").focus()
        page.keyboard.press("Enter")

        assert column(page, SCORES, 1) == sorted(column(page, SCORES, 1))
        shown = page.get_by_role("region", name=SCORES, exact=True).locator("tbody th:first-child.again")
        assert shown.count() == 0
        page.keyboard.press("Space")
        assert column(page, SCORES, 1)[0] == "no pre-finetuning"


def test_a_long_table_is_filtered(visit):
    with visit() as page:
        section = page.locator("section.table", has=page.get_by_role("heading", name=SCORES, exact=True))
        section.get_by_role("searchbox").fill("HEAD b +")

        assert column(page, SCORES, 1) == ["a + b", "b + c"]
        assert set(column(page, SCORES, 0)) == {"head"}
        assert section.locator("output").inner_text() == "2 of 14 rows"
        section.get_by_role("searchbox").fill("")
        assert len(column(page, SCORES, 1)) == 14
        assert section.locator("output").inner_text() == ""


def test_a_short_table_has_no_filter(visit):
    with visit() as page:
        assert page.locator("section", has=page.locator("table.words")).get_by_role("button").count() == 6
        assert page.locator("section", has=page.locator("table.words")).get_by_role("searchbox").count() == 0


def test_dark_and_light_follow_the_reader(visit):
    background = "getComputedStyle(document.body).backgroundColor"
    card = "getComputedStyle(document.querySelector('.card')).backgroundColor"
    with visit(color_scheme="dark") as page:
        assert (page.evaluate(background), page.evaluate(card)) == ("rgb(22, 24, 27)", "rgb(25, 25, 25)")
    with visit(color_scheme="light") as page:
        assert (page.evaluate(background), page.evaluate(card)) == ("rgb(252, 252, 251)", "rgb(255, 255, 255)")


def test_a_telephone_needs_no_sideways_scrolling(visit):
    with visit(viewport={"width": 390, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_is_there_without_the_script(browser, address):
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert page.get_by_role("button").count() == page.get_by_role("searchbox").count() == 0
    assert page.get_by_role("region", name=SCORES, exact=True).get_by_role("row").count() == 15
    page.close()


def test_the_page_keeps_its_order(visit):
    with visit() as page:
        headings = page.locator("h1, h2").all_inner_texts()

    assert headings[0].startswith("With 2 clips, pre-finetuning on a + b lifts")
    named = ["Macro F1 by number of support clips", SCORES, "How to read this", "Settings"]
    named += ["Versions and machine", "Corpora", "1 failed trial"]
    places = [headings.index(name) for name in named]
    assert places == sorted(places)
