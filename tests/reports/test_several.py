"""The page of several stores in a real browser, and the list of the stores in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

import islands
from islands.cli.main import execute
from islands.store.reader import StoreReader
from islands.texts import percent
from tests.reports.conftest import NAMES

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(evolved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stores of the same classes and one of others, the third within a further folder."""
    folder = tmp_path_factory.mktemp("several")
    shutil.copytree(evolved, folder / "first")
    small: dict[str, Any] = {"initial": 10, "children": 10}
    scores = np.random.default_rng(0).random((28 * 28, len(NAMES)))
    archipelago = islands.Archipelago(NAMES, size=28, channels=1, encoding="direct", **small, seed=1)
    for _ in range(3):
        seen = np.exp(archipelago.ask().images.reshape(-1, 28 * 28) / 255 @ scores / 10)
        archipelago.tell(seen / seen.sum(1, keepdims=True))
    archipelago.save(folder / "second")
    islands.evolve("linear-mnist", generations=10, store=folder / "more/digits", evolve=small)
    return folder


@pytest.fixture
def page(browser: Browser, folder: Path, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "several.html"
    assert execute(["report", str(folder / "first"), str(folder / "second"), "--out", str(file)]) == 0
    page = browser.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url))
    page.goto(file.as_uri())
    expect(page.locator("#chart-scatter svg")).to_be_visible()
    yield page
    assert [each for each in troubles if each != file.as_uri() and not each.startswith("data:")] == []
    page.close()


def best(store: Path) -> list[float]:
    reader = StoreReader(store)
    return [float(each) for each in np.max([reader.confidence(run) for run in range(reader.runs)], axis=0)]


def test_it_sets_stores_side_by_side(page: Page, folder: Path) -> None:
    first, second = best(folder / "first"), best(folder / "second")
    assert page.evaluate("data.confidence") == [first, second]
    ahead = sum(a > b for a, b in zip(first, second, strict=True))
    expect(page.locator("h1")).to_have_text(f"first is surest in {ahead} of 10 classes")
    expect(page.locator("#stores tbody tr")).to_have_count(2)
    expect(page.locator("#chart-scatter .mark-symbol.role-mark path")).to_have_count(10)
    lines = page.locator("#chart-learning .mark-line path").evaluate_all(
        "all => all.map(e => [e.getAttribute('stroke'), e.getAttribute('stroke-dasharray')])"
    )
    assert len({stroke for stroke, _ in lines}) == len({dash for _, dash in lines}) == 2
    expect(page.locator("#settings")).to_contain_text("encoding.name")
    expect(page.locator("#settings")).not_to_contain_text("workers")


def test_its_pictures_come_by_difference(page: Page, folder: Path) -> None:
    confidence = np.array([best(folder / "first"), best(folder / "second")]).clip(6e-8, 1 - 6e-8)
    places = np.log(confidence / (1 - confidence))
    shown = page.locator("#rivals h3")
    order = np.argsort(-np.abs(places[0] - places[1]), kind="stable")
    assert shown.all_inner_texts() == [NAMES[at] for at in order]
    page.select_option("#sort", "1")
    assert shown.all_inner_texts() == [NAMES[at] for at in np.argsort(places[0] - places[1], kind="stable")]
    page.fill("#search", "lion")
    expect(shown).to_have_count(1)
    figures = page.locator("#rivals figure").all_inner_texts()
    assert [text.split("\n")[0] for text in figures] == [
        percent(best(folder / name)[9]).replace(" ", "\xa0") for name in ("first", "second")
    ]
    sizes = page.locator("#rivals img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert sizes == [28, 28]


def test_stores_without_a_common_class(browser: Browser, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    stores = [str(folder / name) for name in ("first", "more/digits")]
    assert execute(["report", *stores, "--out", str(file)]) == 0
    page = browser.new_page()
    page.goto(file.as_uri())
    expect(page.locator("#none-shared")).to_be_visible()
    expect(page.locator("#chart-learning svg")).to_be_visible()
    expect(page.locator("#pictures")).to_be_hidden()
    page.close()


def test_bad_input_is_told(folder: Path, capsys: Capture) -> None:
    first = str(folder / "first")
    assert execute(["report", first, first]) == 2
    assert capsys.readouterr().err.count("given twice") == 1
    assert execute(["report", first, str(folder / "none")]) == 2
    assert "no store" in capsys.readouterr().err


def test_status_lists_the_stores_in_a_folder(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert execute(["status", str(folder)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "network", "epoch", "images", "median", "at", "90", "%", "state"]
    assert [row.split()[0] for row in rows] == ["first", "more/digits", "second"]
    assert "10 of 10" in rows[0]
    assert rows[0].endswith("complete")
    assert rows[2].endswith("stopped")
    assert execute(["status", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["epoch"] == 10
    assert execute(["status", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} is no store, and there is none in it\n"


def test_status_lists_what_cannot_be_read(evolved: Path, tmp_path: Path, capsys: Capture) -> None:
    store = Path(shutil.copytree(evolved, tmp_path / "runs/broken"))
    for file in (store / "snapshots").iterdir():
        file.write_bytes(b"")
    assert execute(["status", str(tmp_path / "runs")]) == 0
    assert "cannot be read: " in capsys.readouterr().out
