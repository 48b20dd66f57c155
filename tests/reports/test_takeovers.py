"""Which class became which, in numbers, in the page and as an animation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from playwright.sync_api import Browser, Page, expect

import islands
from islands.cli.main import execute
from islands.reports.growth import frames
from islands.reports.page import write_report
from islands.reports.takeovers import collect_takeovers, flows
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader

HISTORY = {
    # Genome 1 takes classes 0 and 2; its child 2 takes 1, 2's child 3 takes 1 again; 4 has a lost parent.
    "class": np.array([0, 2, 1, 1, 0], np.int32),
    "id": np.array([1, 1, 2, 3, 4]),
    "parents": np.array([[-1, -1], [-1, -1], [1, -1], [2, 1], [99, -1]]),
    "confidence": np.array([0.2, 0.6, 0.5, 0.7, 0.9], np.float32),
}


def test_flows_are_counted_from_the_class_at_which_the_parent_was_best() -> None:
    between, fresh = flows(HISTORY, 3)
    assert between.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert fresh == 3
    nothing = {name: column[:0] for name, column in HISTORY.items()}
    assert flows(nothing, 3).between.tolist() == [[0] * 3] * 3


def test_all_takeovers_are_counted_once(evolved: Path) -> None:
    reader = StoreReader(evolved)
    found = collect_takeovers(reader)
    rows = sum(len(reader.history(run)["id"]) for run in range(2))
    assert found["fresh"] + found["own"] + found["others"] == rows
    assert found["others"] > 0
    assert np.sum(found["matrix"]) == found["own"] + found["others"]
    assert found["groups"] == [[class_, class_] for class_ in range(10)]
    probabilities = np.mean([reader.probabilities(run) for run in range(2)], axis=0)
    np.fill_diagonal(probabilities, 0)
    np.testing.assert_allclose(found["confusions"]["matrix"], probabilities, atol=1e-6)


def test_many_classes_are_taken_together(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(60)]
    archipelago = islands.Archipelago(names, size=8, channels=1, initial=60, children=60)
    scores = np.random.default_rng(0).random((64, 60)).astype(np.float32)
    for _ in range(5):
        seen = np.exp(archipelago.ask().images.reshape(-1, 64) / 255 @ scores)
        archipelago.tell(seen / seen.sum(1, keepdims=True))
    archipelago.save(tmp_path / "run")
    found = collect_takeovers(StoreReader(tmp_path / "run"))
    assert found["groups"][0] == [0, 2]
    assert found["groups"][-1] == [57, 59]
    assert np.shape(found["matrix"]) == np.shape(found["confusions"]["matrix"]) == (20, 20)
    assert np.sum(found["matrix"]) == found["own"] + found["others"]


def test_the_steps_of_a_gallery_end_with_its_elites(evolved: Path) -> None:
    genealogy = Genealogy(StoreReader(evolved), 0)
    steps = frames(genealogy, range(10), 8)
    assert 2 < len(steps) <= 8
    assert steps[0].generation == 0
    elites = [genealogy.chain_ids(class_)[-1] for class_ in range(10)]
    assert [each.id for each in steps[-1].ancestors if each] == elites
    for step in steps:
        assert all(each is None or each.generation <= step.generation for each in step.ancestors)


@pytest.fixture
def page(browser: Browser, evolved: Path, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "report.html"
    write_report(StoreReader(evolved), file)
    page = browser.new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(file.as_uri())
    expect(page.locator("#chart-takeovers svg")).to_be_visible()
    yield page
    assert troubles == []
    page.close()


def test_the_page_shows_flows_and_confusions(page: Page, evolved: Path) -> None:
    found = collect_takeovers(StoreReader(evolved))
    expect(page.locator("#takeovers-body")).to_contain_text(
        f"Of {found['own'] + found['others']:,} takeovers"
    )
    squares = page.locator("#chart-takeovers .mark-rect.role-mark path")
    expect(squares).to_have_count(int(np.count_nonzero(found["matrix"])))
    expect(page.locator("#chart-confusions svg")).to_be_visible()
    page.get_by_text("The largest flows as a table").click()
    first = page.locator(".behind table").first.locator("tbody tr").first
    assert first.locator("td").last.inner_text() == str(found["listed"][0][2])


def test_the_page_slides_over_generations(page: Page) -> None:
    items = page.locator("#growth li")
    last = items.all_inner_texts()
    page.locator("#growth-step").evaluate("e => { e.value = 0; e.dispatchEvent(new Event('input')); }")
    expect(page.locator(".growth-bar output")).to_have_text("generation 0")
    assert items.all_inner_texts() != last
    page.click("#growth-play")
    expect(page.locator("#growth-play")).to_have_text("▶ Play", timeout=20_000)
    assert items.all_inner_texts() == last
    sizes = page.locator("#growth img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert sizes
    assert set(sizes) == {28}


def test_a_sheet_grows(evolved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "growth.webp"
    assert execute(["show", str(evolved), "--sheet", "--top", "6", "--out", str(file)]) == 0
    with Image.open(file) as animation:
        sheets = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(animation)]
    assert f"in {len(sheets)} steps" in capsys.readouterr().out
    assert len(sheets) > 2
    assert execute(["show", str(evolved), "--sheet", "--top", "6", "--out", str(tmp_path / "s.png")]) == 0
    with Image.open(tmp_path / "s.png") as last:
        same = (np.asarray(last.convert("RGB")) == sheets[-1]).mean()
    # The same pictures in the same places; a caption may name another class that the elite is surer of.
    assert same > 0.98
    assert (sheets[0] != sheets[-1]).mean() > 0.1


def test_without_genomes_of_ancestors_nothing_grows(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, file = tmp_path / "run", tmp_path / "report.html"
    budget = {"initial": 10, "children": 10}
    islands.evolve(
        "linear-mnist", generations=10, store=store, evolve=budget, checkpoint={"ancestors": "ids"}
    )
    assert execute(["show", str(store), "--sheet", "--out", str(tmp_path / "growth.webp")]) == 2
    assert "keeps of ancestors their ids alone" in capsys.readouterr().err
    write_report(StoreReader(store), file)
    page = browser.new_page()
    page.goto(file.as_uri())
    expect(page.locator("#growth-body")).to_contain_text("their ids alone")
    page.close()
