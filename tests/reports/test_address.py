"""The address says what is shown, and what can be taken from the page is right."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from islands.cli.main import execute
from islands.reports.page import write_report
from islands.store.images import render_elite
from islands.store.reader import StoreReader
from tests.reports.conftest import NAMES
from tests.reports.opening import opened_page


@pytest.fixture(scope="module")
def address(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    write_report(StoreReader(scored), file)
    return file.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened_page(browser, address, viewport={"width": 1300, "height": 900}) as page:
        yield page


def fragment(page: Page) -> str:
    return str(page.evaluate("location.hash"))


def cards(page: Page) -> list[str]:
    return [str(label) for label in page.locator(".card").evaluate_all("all => all.map(c => c.ariaLabel)")]


def test_a_link_opens_the_same_view(browser: Browser, page: Page) -> None:
    page.select_option("#run", "1")
    page.fill("#search", "crane")
    page.select_option("#sort", "-confidence")
    page.fill("#one-class", "lion")
    page.locator("#least").evaluate(
        "e => { e.value = stops().indexOf(0.5); e.dispatchEvent(new Event('input')); }"
    )
    page.check("#linear")
    page.locator(".card").first.click()
    shown, title = cards(page), page.locator("#elite-title").inner_text()
    with opened_page(browser, page.url) as other:
        expect(other.locator("#elite-title")).to_have_text(title)
        assert cards(other) == shown
        assert len(shown) == 2
        expect(other.locator("#least-shown")).to_have_text("50 %")
        expect(other.locator("#chart-classes")).to_contain_text("20 %")
        expect(other.locator("#chart-curves .mark-text.role-mark")).to_have_text("lion")
        assert fragment(other) == fragment(page)


def test_back_leads_to_the_view_before(page: Page) -> None:
    page.select_option("#sort", "name")
    page.locator("#search").press_sequentially("crane")
    assert fragment(page) == "#class=crane&sort=name"
    page.locator(".card").nth(0).click()
    page.locator("#next").click()
    assert "elite=" in fragment(page)
    page.go_back()
    expect(page.locator("#elite")).to_be_hidden()
    expect(page.locator("#search")).to_have_value("crane")
    page.go_forward()
    expect(page.locator("#elite")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#elite")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"#class=crane&sort=name$"))
    # What is typed is one step.
    page.go_back()
    expect(page.locator("#search")).to_have_value("")
    assert len(cards(page)) == 20
    assert fragment(page) == "#sort=name"
    page.go_back()
    expect(page.locator("#sort")).to_have_value("confidence")


def test_sections_keep_what_is_shown(page: Page) -> None:
    page.fill("#search", "lion")
    page.locator("nav a", has_text="Provenance").click()
    assert fragment(page) == "#provenance&class=lion"
    expect(page.locator("#provenance-title")).to_be_in_viewport()
    assert page.evaluate("document.activeElement.id") == "provenance"
    assert len(cards(page)) == 2


def test_what_an_address_says_wrongly_stays_as_usual(browser: Browser, address: str) -> None:
    hostile = "%3Cimg+src=x+onerror=hacked=1%3E"
    wrong = f"#nowhere&run=9&sort=%3Cb%3E&least=x&between=1~y&axis=log&elite=7.7&class={hostile}"
    with opened_page(browser, address) as page:
        page.evaluate("hash => { location.hash = hash; }", wrong)
        expect(page.locator("#search")).to_have_value("<img src=x onerror=hacked=1>")
        expect(page.locator("#sort")).to_have_value("confidence")
        expect(page.locator("#run")).to_have_value("")
        expect(page.locator("#elite")).to_be_hidden()
        assert len(cards(page)) == 2
        assert page.evaluate("typeof hacked") == "undefined"


def test_the_command_draws_what_was_scored(page: Page, scored: Path, tmp_path: Path) -> None:
    page.evaluate("open(eliteAt(data, 1, 4))")
    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#elite .told")).to_have_text("Copied.")
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["islands", "show", str(scored.resolve())]
    assert execute([*words[1:], "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as image:
        expected = render_elite(StoreReader(scored), 4, 1)
        np.testing.assert_array_equal(np.asarray(image), expected[:, :, 0])
    odd = "/my runs/it's $(here)"
    assert shlex.split(page.evaluate("path => commandOf({ ...data, path }, 0)", odd))[2] == odd


def test_the_link_and_the_image_are_copied(page: Page, scored: Path) -> None:
    page.evaluate("open(eliteAt(data, 1, 4))")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#elite .told")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    assert page.url.endswith("#elite=1.4")
    page.get_by_role("button", name="Copy image").click()
    expect(page.locator("#elite .told")).to_have_text("")
    expect(page.locator("#elite .told")).to_have_text("Copied.", timeout=20_000)
    size = page.evaluate("""async () => { const [item] = await navigator.clipboard.read();
        const bitmap = await createImageBitmap(await item.getType("image/png"));
        return [bitmap.width, bitmap.height]; }""")
    assert size == [1024, 1024]


def test_a_png_is_saved(page: Page, scored: Path) -> None:
    page.evaluate("open(eliteAt(data, 1, 4))")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG 1024").click()
    assert waiting.value.suggested_filename == "run-run-1-class-4-1024.png"
    with Image.open(waiting.value.path()) as image:
        got = np.asarray(image.convert("L"))
    expected = render_elite(StoreReader(scored), 4, 1, size=1024)[:, :, 0]
    assert (got != expected).mean() < 0.001


def test_the_table_of_classes_is_csv(page: Page, scored: Path) -> None:
    page.select_option("#run", "0")
    page.select_option("#sort", "class")
    with page.expect_download() as waiting:
        page.locator("#csv").click()
    assert waiting.value.suggested_filename == "run-images.csv"
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text("utf-8"), newline="")))
    assert [row["name"] for row in rows] == NAMES
    reader = StoreReader(scored)
    assert [np.float32(row["confidence"]) for row in rows] == reader.confidence(0).tolist()
    assert [int(row["id"]) for row in rows] == reader.elites(0).ids.tolist()
    assert [float(row["one target_probability"]) for row in rows] == [
        0.75 if c % 2 == 0 and c else 0.125 for c in range(10)
    ]


def test_charts_are_svg(page: Page) -> None:
    for chart in ("curves", "histogram", "statistics", "classes"):
        figure = page.locator("figure", has=page.locator(f"#chart-{chart}"))
        with page.expect_download() as waiting:
            figure.locator(".save").click()
        assert waiting.value.suggested_filename == f"run-{chart}.svg"
        text = waiting.value.path().read_text("utf-8")
        assert text.startswith("<svg")
        assert "%" in text


def test_a_point_opens_its_elite(page: Page) -> None:
    page.locator("#chart-classes .mark-symbol path").nth(3).click()
    expect(page.locator("#elite")).to_be_visible()
    assert page.evaluate("opened") == 3
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("elite="))
    page.fill("#one-class", "lion")
    page.locator("#chart-curves .mark-symbol.role-mark path").last.click()
    expect(page.locator("#elite-title")).to_have_text("lion")


def test_a_bar_filters_the_gallery(browser: Browser, page: Page) -> None:
    bars = page.locator("#chart-histogram .mark-rect path")
    counts = page.evaluate("histogramSpec(data).data.values.map(bin => bin.elites)")
    at = max(range(len(counts)), key=counts.__getitem__)
    bars.nth(at).click()
    expect(page.locator("#count")).to_have_text(f"{counts[at]} of 20 images")
    expect(page.locator("#between")).to_be_visible()
    with opened_page(browser, page.url) as other:
        expect(other.locator("#count")).to_have_text(f"{counts[at]} of 20 images")
    page.locator("#between").click()
    expect(page.locator("#count")).to_have_text("20 of 20 images")
    assert fragment(page) == ""
    whole = page.evaluate("""histogramSpec(data).data.values.map(bin => {
        between = [bin.least, bin.most]; return data.elites.confidence.filter(isBetween).length; })""")
    assert whole == counts
