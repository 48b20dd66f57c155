"""An elite at any size in the page: its colours are ours, and zoom, keys and files do what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from islands.reports.network_drawing import lay_out
from islands.store.images import render_elite
from tests.reports.network_stores import SIZE, K, assert_same_colours, filled, network_store, opened
from tests.store.samples import make_store


def look_closer(page: Page) -> None:
    page.select_option("#sort", "class")
    page.locator(".card").first.click()
    page.locator(".look").click()
    expect(page.locator("#closer-canvas[data-drawn]")).to_be_visible()


def drawn(page: Page, at: int, size: int, view: Mapping[str, float]) -> npt.NDArray[np.uint8]:
    """What the page draws of an elite: (size, size, 3)."""
    code = """async ([at, size, view]) => { const image = new ImageData(size, size);
        await paint(data.networks, await genomeAt(data, at), data.image_size, view, image);
        return [...image.data]; }"""
    pixels = np.array(page.evaluate(code, [at, size, view]), np.uint8).reshape(size, size, 4)
    assert (pixels[:, :, 3] == 255).all()
    return pixels[:, :, :3]


@pytest.mark.parametrize(
    ("channels", "settings"),
    [(1, {}), (3, {}), (3, {"variant": "released-code"}), (3, {"coordinates": "normalized"})],
    ids=str,
)
def test_the_colours_are_ours(
    browser: Browser, tmp_path: Path, channels: int, settings: dict[str, Any]
) -> None:
    reader = network_store(tmp_path / "run", channels, **settings)
    whole = {"left": 0, "top": 0, "span": SIZE}
    part = {"left": SIZE / 2, "top": SIZE / 4, "span": SIZE / 2}
    with opened(browser, reader, tmp_path) as page:
        got: dict[str, list[npt.NDArray[np.uint8]]] = {"scored": [], "large": [], "part": []}
        expected: dict[str, list[npt.NDArray[np.uint8]]] = {"scored": [], "large": [], "part": []}
        for class_ in range(K):
            large = render_elite(reader, class_, size=4 * SIZE)
            expected["scored"].append(np.broadcast_to(render_elite(reader, class_), (SIZE, SIZE, 3)))
            expected["large"].append(np.broadcast_to(large, (4 * SIZE, 4 * SIZE, 3)))
            expected["part"].append(expected["large"][-1][SIZE : 3 * SIZE, 2 * SIZE :])
            got["scored"].append(drawn(page, class_, SIZE, whole))
            got["large"].append(drawn(page, class_, 4 * SIZE, whole))
            got["part"].append(drawn(page, class_, 2 * SIZE, part))
        for name in got:
            assert_same_colours(np.stack(got[name]), np.stack(expected[name]))


def test_the_drawing_of_a_network_is_ours(browser: Browser, tmp_path: Path) -> None:
    reader = network_store(tmp_path / "run", 3)
    code = "async at => layOut(data.networks.channels, await genomeAt(data, at))"
    with opened(browser, reader, tmp_path) as page:
        for class_ in range(K):
            got = page.evaluate(code, class_)
            expected = lay_out(reader.genome(0, class_), 3)
            assert [(node["label"], node["layer"]) for node in got["nodes"]] == [
                (node.label, node.layer) for node in expected.nodes
            ]
            places = [node["place"] for node in got["nodes"]]
            assert places == pytest.approx([node.place for node in expected.nodes])
            assert np.array(got["connections"]) == pytest.approx(np.array(expected.connections), abs=1e-6)


def test_it_zooms_by_wheel_keys_and_buttons_and_gives_way(browser: Browser, tmp_path: Path) -> None:
    reader = network_store(tmp_path / "run", 3)
    with opened(browser, reader, tmp_path) as page:
        look_closer(page)
        zoom = page.locator("#closer-zoom")
        expect(zoom).to_have_text("1\N{MULTIPLICATION SIGN}")
        page.keyboard.press("+")
        expect(zoom).to_have_text("2\N{MULTIPLICATION SIGN}")
        page.locator("#closer-in").click()
        expect(zoom).to_have_text("4\N{MULTIPLICATION SIGN}")
        page.locator("#closer-out").click()
        box = page.locator("#closer-canvas").bounding_box()
        assert box is not None
        before = page.evaluate("closer.view")
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        page.mouse.wheel(0, -400)
        expect(zoom).to_have_text("5.44\N{MULTIPLICATION SIGN}")
        after = page.evaluate("closer.view")
        fixed = [view["left"] + view["span"] / 4 for view in (before, after)]
        assert fixed[0] == pytest.approx(fixed[1])
        page.keyboard.press("ArrowRight")
        assert page.evaluate("closer.view.left") > after["left"]
        page.keyboard.press("0")
        expect(zoom).to_have_text("1\N{MULTIPLICATION SIGN}")
        page.keyboard.press("-")
        expect(zoom).to_have_text("1\N{MULTIPLICATION SIGN}")
        page.locator("#closer-full").click()
        expect(page.locator("#closer-stage:fullscreen canvas")).to_be_visible()
        page.evaluate("document.exitFullscreen()")
        expect(page.locator("#closer-stage:fullscreen")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(page.locator("#closer")).to_be_hidden()
        expect(page.locator("#elite")).to_be_visible()


def test_two_fingers_zoom(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, network_store(tmp_path / "run", 1), tmp_path) as page:
        look_closer(page)
        page.evaluate("""() => { const stage = $("closer-stage"),
            box = $("closer-canvas").getBoundingClientRect();
            stage.setPointerCapture = () => {};
            const tell = (kind, id, x) => stage.dispatchEvent(new PointerEvent(kind, { pointerId: id,
              clientX: box.left + x * box.width, clientY: box.top + box.height / 2 }));
            tell("pointerdown", 1, 0.4); tell("pointerdown", 2, 0.6);
            tell("pointermove", 1, 0.3); tell("pointermove", 2, 0.7);
            tell("pointerup", 1, 0.3); tell("pointerup", 2, 0.7); }""")
        expect(page.locator("#closer-zoom")).to_have_text("2\N{MULTIPLICATION SIGN}")


@pytest.mark.parametrize("size", [1024, pytest.param(4096, marks=pytest.mark.slow)])
def test_a_file_is_what_we_would_draw(browser: Browser, tmp_path: Path, size: int) -> None:
    reader = network_store(tmp_path / "run", 3)
    with opened(browser, reader, tmp_path) as page:
        look_closer(page)
        with page.expect_download(timeout=240_000) as waiting:
            page.locator(f"#closer-{size}").click()
        assert waiting.value.suggested_filename == f"run-run-0-class-0-{size}.png"
        with Image.open(waiting.value.path()) as image:
            got = np.asarray(image.convert("RGB"))
    assert_same_colours(got, render_elite(reader, 0, size=size))


def test_pixels_are_shown_in_whole_multiples(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "run"
    writer = make_store(path, k=K, encoding="direct", channels=3, size=SIZE)
    reader = filled(writer, path)
    with opened(browser, reader, tmp_path) as page:
        look_closer(page)
        side, pixels = page.evaluate("""() => { const c = $("closer-canvas");
            return [c.width, [...c.getContext("2d").getImageData(0, 0, c.width, c.width).data]]; }""")
        times = side // SIZE
        shown = np.array(pixels, np.uint8).reshape(side, side, 4)[: times * SIZE, : times * SIZE, :3]
        expected = render_elite(reader, 0).repeat(times, 0).repeat(times, 1)
        np.testing.assert_array_equal(shown, expected)
        with page.expect_download() as waiting:
            page.locator("#closer-1024").click()
        with Image.open(waiting.value.path()) as image:
            np.testing.assert_array_equal(
                np.asarray(image.convert("RGB")), render_elite(reader, 0, size=1020)
            )
