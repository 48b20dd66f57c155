"""Lineages in the page: all ancestors as they were scored, played and scrubbed; the classes that they had."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from islands.reports import ancestry, data
from islands.reports.ancestry import classes_along
from islands.reports.data import collect
from islands.reports.page import Embedded, write_report
from islands.reports.server import LiveServer
from islands.store.genealogy import Ancestor, Genealogy, Held
from islands.store.images import Studio
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import in_process, stored_config
from tests.reports.conftest import NAMES
from tests.reports.opening import opened_page


def longest(reader: StoreReader) -> int:
    """The class of run 0 whose lineage is the longest of those that changed their class."""
    genealogy = Genealogy(reader, 0)
    chains = {class_: genealogy.chain(class_) for class_ in range(len(NAMES))}
    switched = [c for c, chain in chains.items() if len(set(classes_along(chain, c))) > 1]
    return max(switched, key=lambda class_: len(chains[class_]))


def show(page: Page, class_: int) -> None:
    page.evaluate("class_ => open(eliteAt(data, 0, class_))", class_)
    expect(page.locator("#chart-lineage svg")).to_be_visible()
    page.evaluate("Promise.all(lineage.drawn)")


PIXELS = """canvas => [canvas.width, ...canvas.getContext("2d").getImageData(0, 0, canvas.width,
    canvas.height).data]"""


def assert_drawn(page: Page, reader: StoreReader, class_: int) -> None:
    """Every ancestor is there, with the pixels that were scored, and at 112 pixels or more."""
    chain = Genealogy(reader, 0).chain(class_)
    studio = Studio(reader, 0)
    canvases = page.locator("#elite .strip canvas").all()
    assert len(canvases) == len(chain)
    differ = []
    for canvas, ancestor in zip(canvases, chain, strict=True):
        side, *pixels = canvas.evaluate(PIXELS)
        expected = studio.draw(ancestor.id)
        assert expected is not None
        got = np.array(pixels, np.uint8).reshape(side, side, 4)[:, :, :3]
        differ.append((got != expected).mean())
        box = canvas.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 112
    # The last bit of a sine decides a few bytes of what networks draw.
    assert np.mean(differ) < 0.001


@pytest.mark.parametrize("kind", ["report", "live"])
def test_all_ancestors_are_drawn_as_they_were_scored(
    browser: Browser, evolved: Path, tmp_path: Path, kind: str
) -> None:
    reader = StoreReader(evolved)
    class_ = longest(reader)
    write_report(reader, tmp_path / "report.html")
    with closing(LiveServer(evolved, "127.0.0.1", 0)) as server:
        address = (tmp_path / "report.html").as_uri() if kind == "report" else server.address
        with opened_page(browser, address) as page:
            show(page, class_)
            assert_drawn(page, reader, class_)


@pytest.mark.parametrize("kind", ["report", "live"])
def test_ancestors_that_are_pixels_are_drawn_too(browser: Browser, tmp_path: Path, kind: str) -> None:
    store = tmp_path / "run"
    config = stored_config(store, encoding={"name": "direct"}, checkpoint={"ancestors": "genomes"})
    with StoreWriter.create(store, config, NAMES, "f" * 64, channels=1, size=28) as writer:
        writer.commit(in_process(config).last, complete=True)
    reader = StoreReader(store)
    class_ = max(range(10), key=lambda class_: len(Genealogy(reader, 0).chain_ids(class_)))
    write_report(reader, tmp_path / "report.html")
    with closing(LiveServer(store, "127.0.0.1", 0)) as server:
        address = (tmp_path / "report.html").as_uri() if kind == "report" else server.address
        with opened_page(browser, address) as page:
            show(page, class_)
            assert_drawn(page, reader, class_)


def test_it_is_scrubbed_and_played(browser: Browser, evolved: Path, tmp_path: Path) -> None:
    reader = StoreReader(evolved)
    class_ = longest(reader)
    write_report(reader, tmp_path / "report.html")
    steps = len(Genealogy(reader, 0).chain(class_))
    with opened_page(browser, (tmp_path / "report.html").as_uri()) as page:
        show(page, class_)
        told, slider = page.locator("#lineage-told"), page.locator("#lineage-step")
        expect(told).to_contain_text(f"Step {steps - 1},")
        slider.focus()
        page.keyboard.press("Home")
        expect(told).to_contain_text("Step 0, generation 0")
        expect(page.locator("#elite h2")).to_have_text(NAMES[class_])
        page.keyboard.press("ArrowRight")
        expect(told).to_contain_text("Step 1,")
        expect(page.locator(".strip [aria-current]")).to_have_attribute(
            "aria-label", r := page.locator(".strip button").nth(1).get_attribute("aria-label") or ""
        )
        assert r.startswith("Step 1")
        shown, drawn = (
            page.locator(each).evaluate(PIXELS)
            for each in ("#lineage-frame", ".strip li:nth-child(2) canvas")
        )
        assert shown == drawn
        page.keyboard.press("Home")
        page.locator("#lineage-play").click()
        expect(page.locator("#lineage-play")).to_contain_text("Pause")
        expect(told).to_contain_text(f"Step {steps - 1},", timeout=60_000)
        expect(page.locator("#lineage-play")).to_contain_text("Play")
        page.locator("#chart-lineage .mark-symbol").last.locator("path").first.click()
        expect(slider).to_have_value("0")


def test_the_chart_marks_changes_of_class(browser: Browser, evolved: Path, tmp_path: Path) -> None:
    reader = StoreReader(evolved)
    class_ = longest(reader)
    write_report(reader, tmp_path / "report.html")
    chain = Genealogy(reader, 0).chain(class_)
    classes = classes_along(chain, class_)
    before = [NAMES[one] for one, other in pairwise(classes) if one != other]
    with opened_page(browser, (tmp_path / "report.html").as_uri()) as page:
        show(page, class_)
        marks = page.locator("#chart-lineage .mark-text.role-mark text").all_text_contents()
        assert len(marks) == len(before)
        # Long names end in dots.
        assert all(
            f"was {name}".startswith(mark.rstrip("…")) for mark, name in zip(marks, before, strict=True)
        )
        assert page.locator("#elite .strip .was").all_inner_texts() == [f"was {name}" for name in before]
        of_target = sum(each == class_ for each in classes)
        points = page.locator("#chart-lineage .mark-symbol")
        assert sum(each.locator("path").count() for each in points.all()) == len(classes)
        assert points.first.locator("path").count() == of_target
        shown = page.evaluate("lineage.steps.map(step => step.confidence)")
    stored = [dict(each.held)[held] for each, held in zip(chain, classes, strict=True)]
    np.testing.assert_allclose(shown, stored, rtol=0.01)


def ancestor(**held: float) -> Ancestor:
    cells = sorted((Held(int(name[1:]), value) for name, value in held.items()), key=lambda c: -c.confidence)
    return Ancestor(0, (-1, -1), "mutation", 0, 0, tuple(cells))


def test_a_lineage_changes_its_class_no_more_than_it_must() -> None:
    line = [ancestor(c1=0.5, c2=0.9), ancestor(c1=0.6, c3=0.8), ancestor(c2=0.4), ancestor(c7=0.9, c4=0.2)]
    assert classes_along(line, 7) == [2, 3, 2, 7]
    assert classes_along(line, 4) == [2, 3, 2, 4]
    assert classes_along(line[:2], 1) == [1, 1]
    assert classes_along([], 1) == []


def test_where_room_is_short_a_few_of_each_lineage_are_there(
    browser: Browser, evolved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = StoreReader(evolved)
    whole = len(collect(reader, Embedded)["lineages"]["networks"]["bytes"])
    monkeypatch.setattr(ancestry, "_EVENLY", 1)
    monkeypatch.setattr(data, "BUDGET", whole // 2)
    write_report(reader, tmp_path / "report.html")
    with opened_page(browser, (tmp_path / "report.html").as_uri()) as page:
        assert page.evaluate("data.lineages.networks.bytes.length") <= whole // 2
        there = page.evaluate(
            "data.lineages.networks.sizes.filter((size, at) => at % 2 === 0 && size).length"
        )
        assert 0 < there < page.evaluate("data.lineages.generations.length")
        show(page, longest(reader))
        expect(page.locator("#elite")).to_contain_text("of them are not in this page")
