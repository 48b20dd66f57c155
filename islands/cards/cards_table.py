"""Many cards in one table: the page that `islands cards` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from islands.cards.card import AttackResult, Card
from islands.cards.making import NAME
from islands.errors import InputError
from islands.reports.page import fill
from islands.texts import percent

COLUMNS = (
    *("network", "attack", "classes", "images x runs", "confidence", "N50", "runs", "fooled", "G"),
    *("accuracy", "calibration error"),
)


def read_cards(places: Sequence[Path]) -> list[Card]:
    """Read the cards in `places`: files, folders of a card, and folders of such.

    Raises:
        InputError: there are none, or a file holds no card.
    """
    found: list[Card] = []
    for place in places:
        inside = [place] if place.is_file() else sorted(place.glob(f"**/{NAME}.json"))
        if not inside:
            raise InputError(f"{place}: there is no {NAME}.json; expected what `islands card` wrote")
        found += [_read(path) for path in inside]
    return found


def render_table(cards: Sequence[Card]) -> str:
    """Return the page of a table, one row for each card and attack."""
    return fill(
        "cards",
        f"Cards of {len(cards)} networks",
        packages=("islands.cards",),
        styles=("page", "card"),
        scripts=("cards",),
        rows=[_row(card, attack) for card in cards for attack in card.attacks],
        cards=cards,
        columns=COLUMNS,
        unlike=len({(card.made.images, card.made.runs) for card in cards}) > 1,
        counts=sorted({card.network.classes for card in cards}),
    )


def _read(path: Path) -> Card:
    try:
        return Card.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        raise InputError(f"{path} is no card that can be read: {reason}; make it again") from None


def _row(card: Card, attack: AttackResult) -> list[tuple[str, float | str]]:
    """Return the cells of a row: what is shown, and what it is sorted by."""
    score, real = attack.scores[attack.level], card.real
    beyond = 2.0 * score.budget + (1 - score.reached) * score.budget
    name = "rho5" if attack.level == "rho5" else "level"
    cells: list[tuple[str, float | str]] = [
        (card.name, card.name),
        (attack.title + (" (unreliable)" if card.unreliable else ""), attack.title),
        (f"{card.network.classes:,}", card.network.classes),
        (f"{score.budget:,} x {card.made.runs}", score.budget),
        (f"{name} {percent(score.confidence)}", score.confidence),
        (f"> {score.budget:,}", beyond) if score.n50 is None else (f"{score.n50:,.0f}", score.n50),
        (_range(attack), score.low or beyond),
        (percent(score.reached), score.reached),
        (f"{attack.geometric_mean:,.0f}", attack.geometric_mean),
        ("none", -1.0) if real is None else (f"{percent(real.accuracy)} of {real.n:,}", real.accuracy),
        ("none", 2.0) if real is None else (f"{real.calibration_error:.3f}", real.calibration_error),
    ]
    return cells


def _range(attack: AttackResult) -> str:
    score = attack.scores[attack.level]
    if score.low is None:
        return "none"
    return f"{score.low:,.0f} to " + (f"> {score.budget:,}" if score.high is None else f"{score.high:,.0f}")
