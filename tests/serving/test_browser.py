"""The page as a person uses it, in a real browser: Debian's Chromium, driven by Playwright."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import voicefit
from support.chromium import CHROMIUM
from support.served import clip, running

pytestmark = [pytest.mark.slow(4), pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


@pytest.fixture(scope="module")
def site(start):
    with running(start) as found:
        yield found


@pytest.fixture
def page(browser, site):
    """The open page; every request that leaves the server's address, and every error, fails the test."""
    address, _ = site
    page = browser.new_page()
    page.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    outside: list[str] = []
    errors: list[str] = []
    page.on("request", lambda sent: outside.append(sent.url) if not _local(sent.url, address) else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    expect(page.locator("#adapt")).to_be_visible()
    yield page
    page.close()
    assert outside == []
    assert errors == []


def _local(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


def give(page: Page, label: str, *files: Path) -> None:
    """Upload clips of one label."""
    box = page.locator("#label input")
    box.fill(label)
    box.press("Enter")
    with page.expect_file_chooser() as chooser:
        page.locator("#several").click()
    chooser.value.set_files(list(files))
    expect(page.locator("#clips li", has_text=label).locator(".chip")).to_have_count(len(files))


def record(page: Page, element: str, milliseconds: int = 1200) -> None:
    """Record what the microphone hears."""
    page.locator(element).get_by_role("button", name="Record", exact=True).click()
    stop = page.locator(element).get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible()
    page.wait_for_timeout(milliseconds)
    stop.click()


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{index}.wav" for index in range(5)]
    for seed, path in enumerate(paths):
        path.write_bytes(clip(seed, seconds=1.0))
    return paths


def test_upload_adapt_try_by_microphone_and_download(page, site, files, tmp_path):
    adapt = page.locator("#adapt")
    expect(adapt).to_be_disabled()
    give(page, "calm", *files[:2])
    expect(adapt).to_be_disabled()
    give(page, "very upset", *files[2:4])
    adapt.click()
    expect(page.locator("#status")).to_contain_text("Adapted on 4 clips of 2 labels")
    expect(page.locator("#status")).to_contain_text("of these 4 clips were classified correctly")
    expect(page.locator("#status")).to_contain_text("From so few clips this is mostly far too low.")
    record(page, "#try")
    bars = page.locator("#result .answer li")
    expect(bars).to_have_count(2)
    assert sorted(page.locator("#result .name").all_inner_texts()) == ["calm", "very upset"]
    with page.expect_download() as download:
        page.locator("#download").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        archive.extractall(tmp_path)
    assert sorted(voicefit.load_model(tmp_path / "voicefit-model").labels) == ["calm", "very_upset"]
    _, service = site
    kept = [path for path in service.uploads.rglob("*") if path.is_file()]
    assert [path for path in kept if path.stat().st_size] == []  # Gradio leaves empty files


def test_record_clips_add_more_and_see_the_answer_move(page, files):
    label = page.locator("#label input")
    for number, name in enumerate(("anger", "fear"), 1):
        label.fill(name)
        label.press("Enter")
        record(page, "#give")
        expect(page.locator("#clips .chip")).to_have_count(number)
    page.locator("#adapt").click()
    expect(page.locator("#status")).to_contain_text("Adapted on 2 clips")
    record(page, "#try")
    expect(page.locator("#result .answer li")).to_have_count(2)
    give(page, "neutral", *files[:2])
    page.locator("#adapt").click()
    expect(page.locator("#status")).to_contain_text("Adapted on 4 clips")
    expect(page.locator("#result .answer li")).to_have_count(3)
    page.locator("#reset").click()
    expect(page.locator("#clips")).to_contain_text("No clips yet")
    expect(page.locator("#adapt")).to_be_disabled()


def choose(page: Page, element: str, label: str) -> None:
    """Write a label."""
    box = page.locator(f"{element} input")
    box.fill(label)
    box.press("Enter")


def test_a_first_guess_is_corrected_and_the_model_learns_it(page, files, tmp_path):
    expect(page.locator("#result")).to_contain_text("a first guess")
    expect(page.locator("#correction")).to_be_hidden()
    record(page, "#try")
    expect(page.locator("#result")).to_contain_text("A first guess: the model has heard no clip of this voice")
    expect(page.locator("#result .answer li")).to_have_count(3)
    choose(page, "#was", "sadness")
    page.locator("#correct").click()
    expect(page.locator("#status")).to_contain_text("Kept as a clip of sadness. Give a clip of another label too")
    expect(page.locator("#clips li", has_text="sadness").locator(".chip")).to_have_count(1)
    give(page, "calm", *files[:2])
    with page.expect_file_chooser() as chooser:
        page.locator("#more").get_by_text("without labels").click()
        page.locator("#recordings").get_by_text("Click to Upload").click()
    chooser.value.set_files(files[2:])
    expect(page.locator("#held")).to_contain_text("3 recordings without a label, 3 s in all")
    page.locator("#adapt").click()
    expect(page.locator("#status")).to_contain_text("Adapted on 3 clips of 2 labels")
    expect(page.locator("#status")).to_contain_text("3 recordings without labels took part")
    expect(page.locator("#result")).not_to_contain_text("A first guess")
    choose(page, "#was", "calm")
    page.locator("#correct").click()
    expect(page.locator("#status")).to_contain_text("Kept as a clip of calm")  # the only label that is left
    choose(page, "#was", "anger")
    page.locator("#correct").click()
    expect(page.locator("#status")).to_contain_text("Adapted on 3 clips of 2 labels")
    expect(page.locator("#clips li", has_text="sadness")).to_have_count(0)  # it is one clip, whatever it is called
    expect(page.locator("#clips li", has_text="anger").locator(".chip")).to_have_count(1)
    page.locator("#reset").click()
    expect(page.locator("#held")).to_contain_text("None yet")
    expect(page.locator("#correction")).to_be_hidden()


def test_a_served_model_is_taught_by_one_correction(browser, start, files, tmp_path):
    for number, label in enumerate(("calm", "upset")):
        (tmp_path / "clips" / label).mkdir(parents=True)
        files[number].rename(tmp_path / "clips" / label / "1.wav")
    voicefit.adapt(start, tmp_path / "clips", out=tmp_path / "model")
    with running(tmp_path / "model") as (address, _):
        page = browser.new_page()
        page.goto(address)
        record(page, "#try")
        expect(page.locator("#result .answer li")).to_have_count(2)
        choose(page, "#was", "tired")
        page.locator("#correct").click()
        expect(page.locator("#status")).to_contain_text("Adapted on 3 clips of 3 labels")
        expect(page.locator("#result .answer li")).to_have_count(3)
        page.close()


def test_a_file_that_is_no_audio_is_told_and_left_out(page, tmp_path):
    bad = tmp_path / "notes.wav"
    bad.write_bytes(b"not audio")
    with page.expect_file_chooser() as chooser:
        page.locator("#several").click()
    chooser.value.set_files([bad])
    expect(page.get_by_text("notes.wav: is text, not readable as audio")).to_be_visible()
    expect(page.locator("#clips")).to_contain_text("No clips yet")


def test_nothing_is_wider_than_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
