"""Whether everybody can use the page: axe-core, touch, and cues where something goes on.

axe-core (MPL-2.0) is in `axe-playwright-python` (MIT), which the extra `test` installs from PyPI by pip;
Islands ships neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from islands.reports.page import write_report
from islands.reports.server import LiveServer
from islands.store.reader import StoreReader
from tests.reports.opening import opened_page

pytestmark = pytest.mark.slow

WIDE, PHONE = {"width": 1300, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def addresses(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The report as a file, and as the live page."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    write_report(StoreReader(scored), file)
    with closing(LiveServer(scored, "127.0.0.1", 0)) as server:
        yield {"report": file.as_uri(), "live": server.address}


def grave(page: Page) -> list[tuple[str, Any]]:
    """What axe finds that is serious or critical, and where."""
    found = Axe().run(page).response["violations"]
    return [
        (each["id"], [node["target"] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("kind", ["report", "live"])
def test_axe_finds_nothing_grave(
    browser: Browser, addresses: dict[str, str], kind: str, size: dict[str, int], scheme: str
) -> None:
    with opened_page(browser, addresses[kind], viewport=size, color_scheme=scheme) as page:
        expect(page.locator("#chart-classes svg")).to_be_visible()
        assert grave(page) == []
        page.locator(".card").first.click()
        expect(page.locator("#chart-lineage svg")).to_be_visible()
        assert grave(page) == []
        page.locator(".look").click()
        expect(page.locator("#closer-canvas[data-drawn]")).to_be_visible()
        assert grave(page) == []
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.locator("#wall-open").click()
        expect(page.locator("#wall-canvas[data-drawn]")).to_be_visible()
        assert grave(page) == []


def test_axe_would_find_something(browser: Browser, addresses: dict[str, str]) -> None:
    with opened_page(browser, addresses["report"], viewport=WIDE) as page:
        page.evaluate("document.querySelector('#theme').removeAttribute('aria-label')")
        page.evaluate("document.querySelector('#theme').textContent = ''")
        assert [name for name, _ in grave(page)] == ["button-name"]


SMALL = """() => [...document.querySelectorAll("button, a[href], input, select, [role=button]")].filter(e => {
    const box = (e.type === "checkbox" ? e.closest("label") : e).getBoundingClientRect();
    return e.checkVisibility() && !e.matches(".skip") && box.width && (box.height < 43.9 || box.width < 43.9);
}).map(e => e.outerHTML.slice(0, 90))"""


def test_phones_have_targets_for_fingers(browser: Browser, addresses: dict[str, str]) -> None:
    with opened_page(browser, addresses["report"], viewport=PHONE, has_touch=True) as page:
        expect(page.locator("#chart-classes svg")).to_be_visible()
        page.select_option("#sort", "class")
        assert page.evaluate(SMALL) == []
        page.locator(".card").nth(8).click()
        expect(page.locator("#chart-lineage svg")).to_be_visible()
        assert page.evaluate(SMALL) == []
        page.locator(".look").click()
        assert page.evaluate(SMALL) == []
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        page.locator("#wall-open").click()
        assert page.evaluate(SMALL) == []


CUT = """() => [...document.querySelectorAll("body *")].filter(e => {
    const style = getComputedStyle(e);
    if (!e.checkVisibility() || e.scrollWidth <= e.clientWidth + 1 || style.overflowX === "visible"
        || !e.clientWidth) return false;
    if (style.overflowX === "hidden") return !(style.textOverflow === "ellipsis" && e.title);
    return !e.dataset.more && e.tagName !== "PRE" && e.tagName !== "INPUT";
}).map(e => e.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_nothing_is_cut_without_a_cue(
    browser: Browser, addresses: dict[str, str], size: dict[str, int]
) -> None:
    with opened_page(browser, addresses["report"], viewport=size) as page:
        expect(page.locator("#chart-classes svg")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CUT) == []
        page.locator(".card").first.click()
        expect(page.locator("#chart-lineage svg")).to_be_visible()
        assert page.evaluate("$('elite').scrollWidth <= $('elite').clientWidth")
        assert page.evaluate(CUT) == []
        page.keyboard.press("Escape")
        page.locator("#wall-open").click()
        assert page.evaluate(CUT) == []


def test_a_cue_is_on_the_side_that_goes_on(browser: Browser, addresses: dict[str, str]) -> None:
    with opened_page(browser, addresses["report"], viewport=PHONE) as page:
        nav = page.locator("nav")
        expect(nav).to_have_attribute("data-more", "right")
        nav.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
        expect(nav).to_have_attribute("data-more", "left")
        assert nav.evaluate("e => getComputedStyle(e).maskImage") != "none"


def test_exact_names_come_first(browser: Browser, addresses: dict[str, str]) -> None:
    with opened_page(browser, addresses["report"], viewport=WIDE) as page:
        renamed = ["sea crane", "crane fly", "bird, crane", "crane", *"efghij"]
        page.evaluate("names => { data.classes = names; }", renamed)
        for sort in ("confidence", "name", "-confidence"):
            page.select_option("#sort", sort)
            page.fill("#search", "CRANE")
            found = page.locator(".card .name").all_inner_texts()
            assert set(found[:4]) == {"crane", "bird, crane"}
            assert found[4:] == ["crane fly", "crane fly", "sea crane", "sea crane"]
            page.fill("#search", "")
