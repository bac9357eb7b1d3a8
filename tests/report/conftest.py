"""Chromium for the tests that look at a page."""

import pytest

from support.chromium import CHROMIUM, FLAGS


@pytest.fixture(scope="module")
def browser():
    """A headless browser; the test is skipped where the machine has none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()
