"""The report in a real browser, opened from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from islands.reports.data import _finding
from islands.reports.page import write_report
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader
from islands.texts import level, percent
from tests.reports.conftest import NAMES


@pytest.fixture(scope="module")
def file(scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(StoreReader(scored), path) == len(path.read_text("utf-8"))
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """The report; when the test is over, nothing has gone wrong and nothing was asked for."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url))
    page.goto(file.as_uri())
    expect(page.locator(".card").first).to_be_visible()
    yield page
    strangers = [each for each in troubles if each != file.as_uri() and not each.startswith("data:")]
    assert strangers == []
    page.close()


def shares(*values: float) -> list[str]:
    """As the page writes them: their space does not break."""
    return [percent(value).replace(" ", "\xa0") for value in values]


def slide(page: Page, least: float) -> None:
    """Move the slider of confidences to a level."""
    move = "(e, least) => { e.value = stops().indexOf(least); e.dispatchEvent(new Event('input')); }"
    page.locator("#least").evaluate(move, least)


def labels(page: Page, chart: str, axis: str) -> list[str]:
    """The labels of an axis that are not hidden, from low to high."""
    texts = page.locator(f"#chart-{chart} .role-axis-label text").evaluate_all(
        "all => all.filter(e => getComputedStyle(e).opacity !== '0').map(e => [e.getBoundingClientRect().x,"
        " e.getBoundingClientRect().y, e.textContent])"
    )
    assert texts
    places = [(-y if axis == "y" else x, text) for x, y, text in texts if ("%" in text)]
    return [text.replace("\xa0", " ") for _, text in sorted(places)]


def cards(page: Page) -> list[str]:
    return [str(label) for label in page.locator(".card").evaluate_all("all => all.map(c => c.ariaLabel)")]


def test_it_says_what_the_store_holds(page: Page, scored: Path) -> None:
    reader = StoreReader(scored)
    expect(page.locator("#lead")).to_contain_text("lenet-mnist")
    assert len(cards(page)) == 20
    confidence = np.concatenate([reader.elites(run).confidence for run in range(2)])
    tiles = page.locator("#tiles div").all_inner_texts()
    assert len(tiles) == 4
    assert tiles[1].endswith(f"\n{(confidence >= np.float32(0.99)).sum()}")
    for chart in ("curves", "histogram", "statistics", "classes"):
        expect(page.locator(f"#chart-{chart} svg")).to_be_visible()
    expect(page.locator("#provenance-body")).to_contain_text("generations_per_epoch: 4")
    expect(page.locator("#exchange-body")).to_contain_text("migrants from 0 to 1")


def test_its_title_is_what_was_found(page: Page, scored: Path) -> None:
    reader = StoreReader(scored)
    best = np.max([reader.confidence(run) for run in range(2)], axis=0)
    assert (best >= np.float32(0.9)).all()
    found = (best >= np.float32(0.99)).sum()
    assert 0 < found < 10
    text = f"{found} of 10 classes fooled at 99 %"
    expect(page.locator("h1")).to_have_text(text)
    assert page.title() == f"{text} · lenet-mnist"


@pytest.mark.parametrize(
    ("confidence", "title"),
    [
        ([0.95, 0.5, 0.2], "1 of 3 classes fooled at 90 %"),
        ([0.99995, 0.95, 0.92], "1 of 3 classes fooled at 99 %"),
        ([0.6, 0.2, 0.3], "1 of 3 classes fooled at 50 %"),
        ([0.999999, 0.999999, 0.999999], "3 of 3 classes fooled at 90 %"),
        ([0.001, 0.002, 0.003], "0 of 3 classes fooled at 90 %"),
    ],
)
def test_a_title_tells_classes_apart(confidence: list[float], title: str) -> None:
    runs = [SimpleNamespace(confidence=np.array(confidence, np.float32)) for _ in range(2)]
    assert _finding(runs) == title  # type: ignore[arg-type]


@pytest.mark.parametrize(("width", "height", "shown"), [(1300, 900, 8), (390, 800, 6)])
def test_the_best_are_seen_without_scrolling(
    page: Page, scored: Path, width: int, height: int, shown: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    pictures = [each for each in page.locator("#best img").all() if each.is_visible()]
    assert len(pictures) == shown
    for picture in pictures:
        box = picture.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height
        assert box["x"] + box["width"] <= width
    genomes = page.evaluate("bestOf().map(at => data.elites.genome[at])")
    assert len(set(genomes)) == len(genomes)
    confidence = page.evaluate("bestOf().map(at => data.elites.confidence[at])")
    assert confidence == sorted(confidence, reverse=True)
    assert confidence[0] == max(float(StoreReader(scored).confidence(run).max()) for run in range(2))
    page.locator("#best button").first.click()
    expect(page.locator("#elite")).to_be_visible()


def test_it_sorts(page: Page, scored: Path) -> None:
    elites = [StoreReader(scored).elites(run) for run in range(2)]
    confidence = {(run, class_): elites[run].confidence[class_] for run in range(2) for class_ in range(10)}
    order = sorted(confidence, key=lambda key: (confidence[key], key[1], key[0]))
    page.select_option("#sort", "-confidence")
    assert cards(page)[0].startswith(NAMES[order[0][1]])
    page.select_option("#sort", "class")
    assert [label.rpartition(", ")[0].rpartition(", ")[0] for label in cards(page)] == [
        name for name in NAMES for _ in range(2)
    ]


def test_it_filters(page: Page, scored: Path) -> None:
    page.fill("#search", "crane")
    assert len(cards(page)) == 4
    page.fill("#search", "9")
    assert all(label.startswith("lion") for label in cards(page))
    page.select_option("#run", "1")
    assert len(cards(page)) == 1
    page.fill("#search", "")
    slide(page, 0.99)
    expected = int((StoreReader(scored).elites(1).confidence >= 0.99).sum())
    expect(page.locator("#count")).to_have_text(f"{expected} of 20 images")


def test_it_filters_by_agreement(page: Page) -> None:
    for wanted, found in (("1", 8), ("2", 0), ("0", 12), ("", 20)):
        page.select_option("#agreement", wanted)
        expect(page.locator("#count")).to_have_text(f"{found} of 20 images")


def test_an_elite_opens_by_keyboard(page: Page, scored: Path) -> None:
    page.select_option("#sort", "class")
    page.locator(".card").nth(8).focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#elite")
    expect(dialog.locator("h2")).to_have_text("crane")
    expect(dialog.locator(".bars li")).to_have_count(5)
    expect(dialog.locator("table")).to_contain_text("75.00 %")
    chain = Genealogy(StoreReader(scored), 0).chain(4)
    expect(dialog.locator(".strip li")).to_have_count(len(chain))
    expect(dialog.locator("svg.drawing")).to_be_visible()
    assert dialog.locator("img.shot").evaluate("image => image.naturalWidth") == 28
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".pairs")).to_contain_text("4 of run 1")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.ariaLabel").startswith("crane")


def test_the_transfer_matrix_counts(page: Page) -> None:
    first, second = page.locator("#transfer-body table").all()
    row = first.locator("tbody tr").first.inner_text().split("\t")
    assert row == ["one", "20", *shares(0.4, 0.4, 0.125)]
    assert second.locator("tbody tr").first.inner_text().split("\t") == ["one", *shares(1, 0.6)]


def test_coverage_and_qd_score_of_each_run(page: Page, scored: Path) -> None:
    """As a table, and as two lines a run over images."""
    rows = [row.inner_text().split("\t") for row in page.locator("#statistics tbody tr").all()]
    for run, row in enumerate(rows):
        confidence = StoreReader(scored).confidence(run)
        assert row[:3] == [str(run), *shares(1), f"{confidence.sum(dtype=np.float64):.3f} of 10"]
        assert float(row[3].rstrip("%\xa0")) == pytest.approx(100 * confidence.mean(), abs=0.01)
        assert float(row[4].rstrip("%\xa0")) == pytest.approx(100 * confidence.max(), abs=0.01)
        assert row[5] == row[3]
    assert len(rows) == 2
    expect(page.locator("#chart-statistics svg .mark-line path")).to_have_count(4)
    expect(page.locator("#chart-statistics")).to_contain_text("images scored")


def test_class_names_are_text(page: Page) -> None:
    page.fill("#search", "onerror")
    expect(page.locator(".card .name").first).to_have_text(NAMES[1])
    page.locator(".card").first.click()
    expect(page.locator("#elite h2")).to_have_text(NAMES[1])
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img[src=x]").count() == 0


def test_it_is_light_and_dark(page: Page) -> None:
    def brightness() -> int:
        return int(page.evaluate("+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))

    assert brightness() > 200
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert brightness() < 60
    page.locator("#theme").click()
    assert brightness() > 200


def test_everything_has_a_name(page: Page) -> None:
    """What a screen reader meets: every control has a label, every picture a text or none on purpose."""
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select, img")]
        .filter(e => e.tagName === "IMG" ? !e.hasAttribute("alt")
          : !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML.slice(0, 80))""")
    assert nameless == []
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("h1").count() == 1


def test_one_class_joins_the_curves(page: Page) -> None:
    lines = page.locator("#chart-curves svg path.mark-line, #chart-curves svg .mark-line path")
    before = lines.count()
    page.fill("#one-class", "lion")
    expect(lines).to_have_count(before + 2)
    expect(page.locator("#chart-curves .mark-text.role-mark")).to_have_text("lion")
    colours = [line.get_attribute("stroke") for line in lines.all()]
    chosen = page.evaluate("colour('chosen')")
    assert colours.count(chosen) == 2
    assert len(set(colours)) == 3


def test_confidences_are_drawn_by_log_odds_unless_axes_are_linear(page: Page) -> None:
    lowest, highest = page.evaluate("[Math.min, Math.max].map(end => end(...data.elites.confidence))")
    levels = [level(each) for each in (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999) if lowest < each < highest]
    assert len(levels) > 2
    assert set(levels) <= set(labels(page, "classes", "y"))
    assert {"10 %", "50 %", "90 %", "99 %"} <= set(labels(page, "curves", "y"))
    in_between = page.evaluate("LEVELS.map(logOdds)")
    assert in_between == sorted(in_between)
    by_log_odds = page.locator("#chart-histogram .mark-rect path").count()
    page.check("#linear")
    expected = ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    expect(page.locator("#chart-curves")).to_contain_text("20 %")
    expect(page.locator("#chart-classes")).to_contain_text("20 %")
    assert labels(page, "curves", "y") == expected
    assert labels(page, "classes", "y") == expected
    page.uncheck("#linear")
    expect(page.locator("#chart-curves")).to_contain_text("99.9 %")
    assert page.locator("#chart-histogram .mark-rect path").count() == by_log_odds


def test_the_slider_stands_at_levels(page: Page, scored: Path) -> None:
    confidence = np.concatenate([StoreReader(scored).confidence(run) for run in range(2)])
    for least in (0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.9999):
        slide(page, least)
        expect(page.locator("#least-shown")).to_have_text(level(least))
        assert len(cards(page)) == (confidence >= np.float32(least)).sum()
    slide(page, 0.9)
    page.check("#linear")
    expect(page.locator("#least-shown")).to_have_text("90 %")
    assert page.locator("#least").get_attribute("max") == "100"


def test_the_page_writes_shares_as_we_do(page: Page) -> None:
    random = np.random.default_rng(0)
    log_odds = random.normal(0, 8, 500)
    values = [0.0, 1.0, 1e-9, 1 - 1e-9, 0.9999, *(1 / (1 + np.exp(-log_odds))).tolist()]
    values += np.array(values, np.float32).astype(float).tolist()
    found = page.evaluate("values => values.map(percent)", values)
    assert found == shares(*values)
    chosen = [0.001, 0.005, 0.5, 0.9, 0.99, 0.995, 0.999, 0.9999, 0.99999]
    assert page.evaluate("values => values.map(level)", chosen) == [
        level(each).replace(" ", "\xa0") for each in chosen
    ]


def test_curves_of_classes_are_as_exact_close_to_1_as_in_the_middle(page: Page, scored: Path) -> None:
    reader = StoreReader(scored)
    shown = page.evaluate("data.curves.classes.map(run => run.map(row => fromLogOdds(row.at(-1) / 100)))")
    for run, last in enumerate(shown):
        stored = reader.curves(run)[-1].astype(float)
        np.testing.assert_allclose(1 - np.array(last), 1 - stored, rtol=0.01, atol=1e-7)
