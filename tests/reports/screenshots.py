"""Photographs the report and the live page: for the README, or all pictures of the documentation.

python -m tests.reports.screenshots runs/imagenet-cppn .readme/report.png
python -m tests.reports.screenshots runs/imagenet-cppn docs/pictures runs/unfinished
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from islands.reports.page import write_report
from islands.reports.server import LiveServer
from islands.store.reader import StoreReader

WIDE, PHONE = (1300, 1020), (390, 844)
SHOWN = (745, 585)
GAP = 10
QUALITY = 60
ON_WALL = 110
"""Pixels of an image on the wall."""


def photograph_pair(browser: Browser, address: str, out: Path) -> None:
    """Write a PNG of two views side by side: the top of the report, and an elite."""
    with opened(browser, address) as page:
        views = [page.screenshot()]
        show_elite(page)
        views.append(page.screenshot())
    sheet = Image.new("RGB", (2 * SHOWN[0] + GAP, SHOWN[1]), "white")
    for number, view in enumerate(views):
        with Image.open(io.BytesIO(view)) as image:
            small = image.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
        sheet.paste(small, (number * (SHOWN[0] + GAP), 0))
    sheet.save(out, optimize=True)


def photograph_report(browser: Browser, address: str, folder: Path) -> None:
    """Write the pictures of a report, as WebP."""
    for name, size, scheme in (
        ("report", WIDE, "light"),
        ("report-dark", WIDE, "dark"),
        ("report-phone", PHONE, "light"),
    ):
        with opened(browser, address, size, scheme) as page:
            save(page, folder / f"{name}.webp")
    with opened(browser, address, WIDE, "dark") as page:
        show_elite(page)
        save(page, folder / "elite-dark.webp")
    with opened(browser, address) as page:
        show_section(page, "takeovers")
        save(page, folder / "takeovers.webp")
    for name, size in (("wall", WIDE), ("wall-phone", PHONE)):
        with opened(browser, address, size) as page:
            show_wall(page)
            save(page, folder / f"{name}.webp")


def photograph_live(browser: Browser, address: str, folder: Path) -> None:
    """Write the pictures of the live page of a run that is not complete."""
    for name, size in (("live", WIDE), ("live-phone", PHONE)):
        with opened(browser, address, size) as page:
            page.locator("#workers summary").click()
            page.evaluate("document.activeElement.blur()")
            save(page, folder / f"{name}.webp")


@contextmanager
def opened(
    browser: Browser, address: str, size: tuple[int, int] = WIDE, scheme: str = "light"
) -> Iterator[Page]:
    """A page whose pictures and charts are there."""
    dark = scheme == "dark"
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    page.set_default_timeout(300_000)
    page.goto(address, timeout=300_000)
    page.locator(".card img").first.wait_for()
    expect(page.locator("#chart-classes svg")).to_be_visible(timeout=300_000)
    yield page
    page.close()


def show_elite(page: Page) -> None:
    """Open an elite of high confidence that has a lineage, and wait until its ancestors are drawn."""
    page.locator(".card").nth(3).click()
    page.locator("#elite").wait_for()
    page.evaluate("Promise.all(lineage.drawn)")
    expect(page.locator("#chart-lineage svg")).to_be_visible(timeout=300_000)
    # Its focus is where it opened, and no part of the picture.
    page.evaluate("document.activeElement.blur()")


def show_section(page: Page, name: str) -> None:
    """Scroll to a section."""
    page.evaluate("name => $(name).scrollIntoView({ behavior: 'instant' })", name)
    page.wait_for_timeout(500)


def show_wall(page: Page) -> None:
    """Open the wall where images have their names, and wait until all are drawn."""
    page.locator("#wall-open").click()
    page.evaluate("side => moveWall(viewOfTile(0, side / SHARE))", ON_WALL)
    drawn = "() => Number($('wall-canvas').dataset.drawn) === wall.number && !wall.mosaic.filling"
    while not page.evaluate(drawn):
        page.wait_for_timeout(200)
    page.evaluate("document.activeElement.blur()")


def save(page: Page, path: Path) -> None:
    """Write what is seen as WebP."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(path, quality=QUALITY, method=6)


@contextmanager
def neutral(store: Path) -> Iterator[Path]:
    """A copy of a store at a place that tells nothing of this machine: pages show the path."""
    place = Path(tempfile.gettempdir()) / "islands" / "runs" / store.name
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield Path(shutil.copytree(store, place))
    finally:
        shutil.rmtree(place)


def photograph(store: Path, out: Path, unfinished: Path | None) -> None:
    """Write the README's picture where `out` ends in .png, else all of the documentation into that folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        stack.callback(browser.close)
        report = folder / "report.html"
        write_report(StoreReader(stack.enter_context(neutral(store))), report)
        if out.suffix == ".png":
            photograph_pair(browser, report.as_uri(), out)
            return
        out.mkdir(parents=True, exist_ok=True)
        photograph_report(browser, report.as_uri(), out)
        if unfinished is not None:
            place = stack.enter_context(neutral(unfinished))
            server = stack.enter_context(closing(LiveServer(place, "127.0.0.1", 0)))
            photograph_live(browser, server.address, out)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
