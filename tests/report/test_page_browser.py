"""The page as a reader uses it, in a real browser: Debian's Chromium, driven by Playwright."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from report.synthetic import RECORD, grid
from voicefit.report.build import write_report

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

STARTS = {"none": 0.5, "a": 0.55, "b": 0.45, "c": 0.4, "a+b": 0.6, "a+c": 0.58, "a+b+c": 0.62}
SCORES = "Macro F1 by k, nemo"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return write_report(run, RECORD | {"planned_trials": 168}, grid(STARTS)).as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the page; a request beyond it, or an error, fails the test."""
    pages, asked, errors = [], [], []

    def opened(**options):
        page = browser.new_page(**options)
        pages.append(page)
        page.on("request", lambda sent: asked.append(sent.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page

    yield opened
    for page in pages:
        page.close()
    assert set(asked) == {address}
    assert errors == []


def column(table, number):
    """The large print of the shown rows of one column."""
    script = """(rows, i) => rows.filter(row => !row.hidden)
        .map(row => (row.cells[i].querySelector("strong") || row.cells[i].firstChild).textContent.trim())"""
    return table.locator("tbody tr").evaluate_all(script, number)


def test_a_click_on_a_head_sorts_and_a_third_restores(open_page):
    page = open_page()
    table = page.locator("section.table", has=page.get_by_role("heading", name=SCORES)).locator("table")
    before = column(table, 1)
    head = table.get_by_role("columnheader", name="k = 2")

    head.get_by_role("button").click()
    falling = column(table, 2)
    head.get_by_role("button").click()
    rising = column(table, 2)
    head.get_by_role("button").press("Enter")

    assert falling == sorted(falling, reverse=True) != rising == sorted(rising)
    assert column(table, 1) == before
    assert head.get_attribute("aria-sort") == "none"


def test_words_filter_rows(open_page):
    page = open_page()
    section = page.locator("section.table", has=page.get_by_role("heading", name=SCORES))

    section.get_by_role("searchbox").fill("HEAD a + b")

    assert column(section, 1) == ["a + b", "a + b + c"]
    expect(section.get_by_role("status")).to_have_text("2 of 14 rows")
    section.get_by_role("searchbox").fill("")
    assert len(column(section, 1)) == 14


def test_missing_numbers_come_last_and_minus_is_a_minus(open_page):
    page = open_page()
    found = page.evaluate("""() => ["−0.02", "–", "+0.10", "1,200", "< 0.001"].map(numberOf)""")
    order = page.evaluate("""() => ["–", "0.1", "−0.2"].sort((a, b) => compare(a, b, true, -1))""")

    assert found == [-0.02, None, 0.1, 1200, 0.001]
    assert order == ["0.1", "−0.2", "–"]


def test_dark_and_light(open_page):
    shades = {
        scheme: open_page(color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("dark", "light")
    }

    assert shades == {"dark": "rgb(22, 24, 27)", "light": "rgb(252, 252, 251)"}


def test_a_phone_scrolls_down_alone(open_page):
    page = open_page(viewport={"width": 390, "height": 844})

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_can_be_read_without_scripts(open_page):
    page = open_page(java_script_enabled=False)

    assert page.get_by_role("searchbox").count() == 0
    expect(page.get_by_role("heading", name=SCORES)).to_be_visible()
