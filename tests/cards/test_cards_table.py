"""Many cards in a table, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from islands.cards.making import Evidence
from islands.cli.main import execute

Capture = pytest.CaptureFixture[str]


pytestmark = pytest.mark.slow


@pytest.fixture
def shelf(made: Evidence, tmp_path: Path) -> Path:
    """The card of LeNet, and one of a network of its kind that takes more images."""
    other = made.card.model_copy(update={"name": "another <b>"})
    slow = made.card.attacks[0].model_copy(update={"geometric_mean": 1e6})
    for name, card in (("lenet", made.card), ("other", other.model_copy(update={"attacks": (slow,)}))):
        (tmp_path / "shelf" / name).mkdir(parents=True)
        (tmp_path / "shelf" / name / "card.json").write_text(card.as_text())
    return tmp_path / "shelf"


def test_a_click_sorts(shelf: Path, browser: Browser) -> None:
    file = shelf / "cards.html"
    assert execute(["cards", str(shelf), "--out", str(file)]) == 0
    page = browser.new_page(viewport={"width": 390, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    column = page.locator("thead th").all_inner_texts().index("G")

    def values() -> list[float]:
        rows = page.locator("tbody tr").all()
        return [float(row.locator("td").nth(column).get_attribute("data-value") or "") for row in rows]

    assert len(values()) == 4
    page.locator("thead button").nth(column).click()
    assert values() == sorted(values())
    page.locator("thead button").nth(column).click()
    assert values() == sorted(values(), reverse=True)
    assert page.locator("tbody td").first.inner_text() == "another <b>"
    assert complaints == []
    page.close()


def test_what_is_no_card_is_told(shelf: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    (shelf / "lenet" / "card.json").write_text('{"name": "x"}')
    for place, said in (
        (tmp_path / "empty", "there is no card.json"),
        (shelf, "is no card that can be read"),
    ):
        assert execute(["cards", str(place), "--out", str(tmp_path / "out.html")]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert execute(["cards", str(shelf), "--out", str(tmp_path)]) == 2
    assert not (tmp_path / "out.html").exists()
