"""Islands and the mail between them in the page, for a few islands and for many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

import islands
from islands.reports.exchange import collect_topology
from islands.reports.page import write_report
from islands.store.reader import StoreReader

COUNT, CLASSES = 64, 80


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 64 islands on a network of one random layer."""
    path = tmp_path_factory.mktemp("many") / "run"
    archipelago = islands.Archipelago(
        [f"class {number}" for number in range(CLASSES)],
        size=8,
        channels=1,
        islands={"count": COUNT, "topology": "torus"},
        initial=COUNT,
        children=COUNT,
    )
    layer = np.random.default_rng(0).normal(size=(64, CLASSES))
    for _ in range(12):
        seen = np.exp(archipelago.ask().images.reshape(-1, 64) / 255 @ layer)
        archipelago.tell(seen / seen.sum(1, keepdims=True))
    archipelago.save(path)
    return path


def test_the_graph_of_the_islands(many: Path, evolved: Path) -> None:
    found = collect_topology(StoreReader(many))
    assert found["count"] == COUNT
    assert len(found["edges"]) == 4 * COUNT
    assert found["classes"][0][0] == 0
    assert found["classes"][-1][1] == CLASSES - 1
    ring = collect_topology(StoreReader(evolved))
    assert sorted(ring["edges"]) == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]


@pytest.mark.parametrize("store", ["evolved", "many"])
@pytest.mark.parametrize("width", [1300, 390])
def test_the_page_draws_islands_and_mail(
    browser: Browser, tmp_path: Path, store: str, width: int, request: pytest.FixtureRequest
) -> None:
    reader = StoreReader(request.getfixturevalue(store))
    islands_, file = reader.config.islands.count, tmp_path / "report.html"
    write_report(reader, file)
    page = browser.new_page(viewport={"width": width, "height": 900})
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(file.as_uri())
    expect(page.locator(".topology circle")).to_have_count(islands_)
    edges = collect_topology(reader)["edges"]
    expect(page.locator(".topology path")).to_have_count(len(edges))
    # Circles lie apart, and each within the drawing.
    circles = page.locator(".topology circle").evaluate_all(
        "all => all.map(c => ['cx', 'cy', 'r'].map(name => +c.getAttribute(name)))"
    )
    places = np.array(circles)
    apart = np.hypot(*(places[:, None, :2] - places[None, :, :2]).transpose(2, 0, 1))
    reach = places[:, 2][:, None] + places[:, 2]
    assert (apart + np.eye(islands_) * 1e3 > reach).all()
    assert ((places[:, :2] - places[:, 2:] >= 0) & (places[:, :2] + places[:, 2:] <= 500)).all()
    page.select_option("#mail-measure", "sent")
    mail = [reader.migrations(run) for run in range(reader.runs)]
    claims = {
        pair
        for rows in mail
        for pair in zip(
            rows["sender"][rows["kind"] == 0].tolist(),
            rows["receiver"][rows["kind"] == 0].tolist(),
            strict=True,
        )
    }
    assert claims
    expect(page.locator("#chart-mail .mark-rect.role-mark path")).to_have_count(len(claims))
    table = page.locator("#exchange-body table").first
    expect(table).to_be_hidden()
    page.get_by_text("Islands as a table").click()
    expect(table.locator("tbody tr")).to_have_count(islands_)
    dots = page.locator(".card .island").evaluate_all(
        "all => all.map(e => getComputedStyle(e).backgroundColor)"
    )
    made = {int(each) for run in range(reader.runs) for each in reader.elite_columns(run, "island")["island"]}
    assert len(set(dots)) == len(made)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert troubles == []
    page.close()
