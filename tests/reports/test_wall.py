"""The wall: from all images at a glance to one drawn at 2048 pixels, by hand and by keys."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from islands.store.images import render_elite
from islands.store.reader import StoreReader
from tests.reports.network_stores import SIZE, K, assert_same_colours, network_store, opened


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> StoreReader:
    return network_store(tmp_path_factory.mktemp("wall") / "run", 3)


def wait_until(page: Page, holds: Callable[[], Any]) -> None:
    """Wait for what the page cannot be asked to wait for: its policy forbids code from outside."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came")


def hang(page: Page) -> None:
    """Open the wall of all images in the order of their classes, and wait until all are there."""
    page.select_option("#sort", "class")
    page.locator("#wall-open").click()
    drawn(page)


def drawn(page: Page) -> None:
    """Wait until what is looked at is there as it should be."""
    code = """() => Number($("wall-canvas").dataset.drawn) === wall.number && !wall.mosaic.filling
        && wall.mosaic.blocks.size > 0"""
    wait_until(page, lambda: page.evaluate(code))


def stage(page: Page) -> Any:
    """What the canvas of the wall shows: uint8 (H, W, 3)."""
    content = page.evaluate("$('wall-canvas').toDataURL('image/png')").partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return np.asarray(image.convert("RGB"))


def test_all_images_hang_on_it_in_the_order_of_the_gallery(
    browser: Browser, tmp_path: Path, reader: StoreReader
) -> None:
    with opened(browser, reader, tmp_path) as page:
        hang(page)
        assert page.evaluate("location.hash") == "#sort=class&wall=all"
        assert page.evaluate("wall.mosaic.tiles.length") == K * reader.runs
        shown = stage(page)
        for number, at in enumerate(page.evaluate("wall.mosaic.tiles")):
            run, class_ = page.evaluate("at => [data.elites.run[at], data.elites.class[at]]", at)
            left, top, side = page.evaluate("number => tileBox(...placeOf(number))", number)
            # Above the label.
            got = shown[top : top + side // 2, left : left + side].mean((0, 1))
            expected = render_elite(reader, class_, run, size=256)[:128].mean((0, 1))
            np.testing.assert_allclose(got, expected, atol=12)


def test_one_image_is_drawn_at_2048_pixels(browser: Browser, tmp_path: Path, reader: StoreReader) -> None:
    lively = max(range(K), key=lambda class_: np.unique(render_elite(reader, class_, size=256)).size)
    with opened(browser, reader, tmp_path) as page:
        page.fill("#search", str(lively))
        hang(page)
        for _ in range(6):
            page.keyboard.press("+")
            page.wait_for_timeout(250)
        drawn(page)
        left, top, side = page.evaluate("tileBox(...placeOf(wall.chosen))")
        assert side == 2048
        size = 400
        x, y = 100 - left, 50 - top
        got = stage(page)[50 : 50 + size, 100 : 100 + size]
        part = {"left": x * SIZE / side, "top": y * SIZE / side, "span": size * SIZE / side}
        own = page.evaluate(
            """async ([view, size]) => { const image = new ImageData(size, size), at = wall.mosaic.tiles[0];
            await paint(data.networks, await genomeAt(data, at), data.image_size, view, image);
            return [...image.data]; }""",
            [part, size],
        )
        assert_same_colours(got, np.array(own, np.uint8).reshape(size, size, 4)[:, :, :3])
        ours = render_elite(reader, lively, size=side)[y : y + size, x : x + size]
        assert_same_colours(got, ours)


def test_keys_lead_to_an_image_and_its_details_and_back(
    browser: Browser, tmp_path: Path, reader: StoreReader
) -> None:
    with opened(browser, reader, tmp_path) as page:
        hang(page)
        told = page.locator("#wall-told")
        second = page.locator(".card").nth(1).get_attribute("aria-label")
        page.keyboard.press("ArrowRight")
        expect(told).to_have_text(second or "")
        page.keyboard.press("End")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowRight")
        expect(told).to_have_text(second or "")
        page.keyboard.press("Enter")
        wait_until(page, lambda: page.evaluate("wall.view.cell > 0.9 * fittedCell()"))
        expect(page.locator("#elite")).to_be_hidden()
        page.keyboard.press("Enter")
        expect(page.locator("#elite")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#elite")).to_be_hidden()
        expect(page.locator("#wall-stage")).to_be_focused()
        page.keyboard.press("0")
        wait_until(page, lambda: page.evaluate("location.hash") == "#sort=class&wall=all")
        page.keyboard.press("Escape")
        expect(page.locator("#wall")).to_be_hidden()
        expect(page.locator("#wall-open")).to_be_focused()
        assert page.evaluate("location.hash") == "#sort=class"


def test_the_address_shows_the_same_part_again(browser: Browser, tmp_path: Path, reader: StoreReader) -> None:
    with opened(browser, reader, tmp_path) as page:
        hang(page)
        page.mouse.move(400, 300)
        page.mouse.wheel(0, -500)
        wait_until(page, lambda: "~" in page.evaluate("location.hash"))
        link, view = page.evaluate("[location.href, wall.view]")
        page.goto("about:blank")
        page.goto(link)
        expect(page.locator("#wall")).to_be_visible()
        assert page.evaluate("wall.view") == pytest.approx(view, rel=1e-3)
        page.goto(link.partition("&wall")[0] + "&wall=nonsense~x")
        assert page.evaluate("wall.view") == page.evaluate("wholeView()")


def test_hands_move_and_zoom_it(browser: Browser, tmp_path: Path, reader: StoreReader) -> None:
    with opened(browser, reader, tmp_path) as page:
        hang(page)
        whole = page.evaluate("wall.view")
        fixed = page.evaluate("tileAt(350, 250)")
        box = page.locator("#wall-stage").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 350, box["y"] + 250)
        page.mouse.wheel(0, -600)
        wait_until(page, lambda: page.evaluate("wall.view.cell") > 4 * whole["cell"])
        assert page.evaluate("tileAt(350, 250)") == fixed
        before = page.evaluate("wall.view")
        page.mouse.down()
        page.mouse.move(box["x"] + 320, box["y"] + 260)
        page.mouse.move(box["x"] + 250, box["y"] + 290)
        page.mouse.up()
        after = page.evaluate("wall.view")
        assert (after["x"] - before["x"]) * after["cell"] == pytest.approx(100)
        assert (after["y"] - before["y"]) * after["cell"] == pytest.approx(-40)
        expect(page.locator("#elite")).to_be_hidden()
        page.evaluate("""() => { const stage = $("wall-stage"), box = stage.getBoundingClientRect();
            stage.setPointerCapture = () => {};
            const tell = (kind, id, x) => stage.dispatchEvent(new PointerEvent(kind, { pointerId: id,
              clientX: box.left + x, clientY: box.top + 250 }));
            tell("pointerdown", 1, 300); tell("pointerdown", 2, 400);
            tell("pointermove", 1, 325); tell("pointermove", 2, 375);
            tell("pointerup", 1, 325); tell("pointerup", 2, 375); }""")
        assert page.evaluate("wall.view.cell") == pytest.approx(after["cell"] / 2)


def test_what_the_gallery_leaves_out_does_not_hang(
    browser: Browser, tmp_path: Path, reader: StoreReader
) -> None:
    with opened(browser, reader, tmp_path) as page:
        page.fill("#search", "3")
        hang(page)
        assert page.evaluate("wall.mosaic.tiles.map(at => data.elites.class[at])") == [3] * reader.runs
        page.keyboard.press("Escape")
        page.fill("#search", "nobody")
        expect(page.locator("#wall-open")).to_be_disabled()
