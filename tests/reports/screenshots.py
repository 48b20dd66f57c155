"""Photographs the report of a store for the README: its top, and an elite.

python -m tests.reports.screenshots runs/imagenet-cppn .readme/report.png
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from islands.reports.page import write_report
from islands.store.reader import StoreReader

WINDOW = (1300, 1020)
SHOWN = (745, 585)
GAP = 10


def photograph(store: Path, out: Path) -> None:
    """Write a PNG of two views side by side."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        write_report(StoreReader(store), file)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        page.goto(file.as_uri())
        page.locator(".card img").first.wait_for()
        views = [page.screenshot()]
        page.locator(".card").nth(3).click()
        page.locator("#elite").wait_for()
        page.evaluate("Promise.all(lineage.drawn)")
        views.append(page.screenshot())
        browser.close()
    sheet = Image.new("RGB", (2 * SHOWN[0] + GAP, SHOWN[1]), "white")
    for number, view in enumerate(views):
        with Image.open(io.BytesIO(view)) as image:
            small = image.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
        sheet.paste(small, (number * (SHOWN[0] + GAP), 0))
    sheet.save(out, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]), Path(sys.argv[2]))
