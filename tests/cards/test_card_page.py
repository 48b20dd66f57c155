"""The page of a card, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from islands.cards.card import GroupResult
from islands.cards.card_page import render
from islands.cards.making import Evidence

pytestmark = pytest.mark.slow

SECTIONS = ["How easily", "Which classes", "Do they carry over", "Can it be noticed", "How this was made"]


@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (1300, "dark"), (390, "light")])
def test_it_is_whole_and_quiet_at_any_width(folder: Path, browser: Browser, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if request.url[:4] == "http" else None)
    page.goto((folder / "card.html").as_uri())
    for number in range(3):
        page.locator(f"#profile-{number} svg").wait_for()
    assert page.locator("h2").all_inner_texts() == SECTIONS
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") != scheme
    page.locator("#profile-2 svg").wait_for()
    assert complaints == []
    context.close()


def test_its_numbers_are_those_of_the_card(made: Evidence, folder: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((folder / "card.html").as_uri())
    rows = page.locator("#easily tbody tr").all_inner_texts()
    assert len(rows) == sum(len(each.scores) for each in made.card.attacks)
    for result in made.card.attacks:
        score = result.scores["rho5"]
        (row,) = [each for each in rows if each.split("\t")[0] == result.title and "rho5" in each]
        assert row.split("\t")[2] == ("> 2,000" if score.n50 is None else f"{score.n50:,.0f}")
    assert page.locator("#made pre").first.inner_text() == made.card.made.command
    worse = page.locator("#noticed tr.worse").count()
    assert worse == sum(each.auroc.mean < 0.5 for each in made.card.noticed) > 0
    page.close()


def test_names_cannot_break_out_of_it(made: Evidence) -> None:
    evil = "</script><b>bold"
    attacks = tuple(
        each.model_copy(
            update={
                "title": evil,
                "classes": (each.classes[0].model_copy(update={"name": evil}), *each.classes[1:]),
            }
        )
        for each in made.card.attacks
    )
    card = made.card.model_copy(update={"attacks": attacks, "name": evil})
    page = render(Evidence(made.classifier, made.attacks, made.readers, made.pictures, card))
    assert evil not in page
    assert "&lt;/script&gt;&lt;b&gt;bold" in page


def test_groups_are_told_where_there_are_some(made: Evidence) -> None:
    groups = (
        GroupResult(name="dogs", classes=118, images=None, reached=0.25),
        GroupResult(name="birds", classes=59, images=1240.0, reached=0.75),
    )
    first = made.card.attacks[0].model_copy(update={"groups": groups})
    card = made.card.model_copy(update={"attacks": (first, *made.card.attacks[1:])})
    page = render(Evidence(made.classifier, made.attacks, made.readers, made.pictures, card))
    assert page.index("<td>birds</td><td>59</td><td>1,240</td>") < page.index("<td>dogs</td><td>118</td>")
    assert "<h3>Groups</h3>" not in render(made)
