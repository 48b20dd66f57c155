"""The page of a card, one HTML file that needs nothing else, and its badge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from islands.cards.card import AttackResult, Card, ClassResult, Noticed
from islands.cards.making import NAME, Evidence
from islands.cards.model_index import write_model_card
from islands.cards.noticing import LEAST_REAL
from islands.files import write_whole
from islands.reports.page import data_uri, fill, libraries
from islands.store.images import render_all
from islands.store.reader import StoreReader
from islands.texts import level, percent
from islands.transfers.learning import Estimate

_SHEET = 8
"""Images of a sheet."""
_SIDE, _MOST = 160, 12_000
"""Pixels a side and bytes of a picture in the page."""
_PIXELS = 64
"""Images of up to so many pixels a side are shown as pixels."""
_ROWS = 200
"""Classes in the table; of more, the first half and the last."""


def write_page(found: Evidence, folder: Path) -> Path:
    """Write the page, the badge and `card.md` of a card into its folder, and return the page's path."""
    page = folder / f"{NAME}.html"
    write_whole(page, render(found))
    write_whole(folder / "badge.svg", badge(found.card))
    write_model_card(found.card, folder)
    return page


def render(found: Evidence) -> str:
    """Return the page."""
    card = found.card
    orders = [_easiest_first(result) for result in card.attacks]
    drawn = dict(zip((reader.path for reader in found.readers), orders, strict=True))
    first = card.attacks[0]
    # Where two sheets would have nearly all classes, one has all of them.
    shown = _SHEET if card.network.classes > 2 * _SHEET else 2 * _SHEET
    return fill(
        "card",
        f"{card.name} · islands card",
        packages=("islands.cards",),
        styles=("page", "card"),
        scripts=("elements", "charts", "card"),
        libraries=libraries(),
        percent=percent,
        number=lambda value: f"{value:,.0f}",
        level_name=_level_name,
        level=lambda confidence: level(round(confidence, 4)),
        yaml=lambda settings: yaml.safe_dump(settings, sort_keys=False),
        interval=_interval,
        numbers=_numbers,
        card=card,
        headline=_headline(card),
        few=LEAST_REAL,
        little=all(score.n50 is None for each in card.attacks for score in each.scores.values()),
        small=card.network.input_size <= _PIXELS,
        best=_pictures(found.readers[0], first, orders[0][:_SHEET]),
        groups=[
            {
                "title": result.title,
                "easiest": _pictures(reader, result, drawn[reader.path][:shown]),
                "hardest": _pictures(reader, result, drawn[reader.path][shown:][-_SHEET:]),
            }
            for result, reader in zip(card.attacks, found.readers, strict=True)
        ],
        rows=_rows(first, orders[0]),
        carried=list(_carried(card, found.readers)),
        detected=[list(each) for _, each in groupby(_by_images(card), key=lambda each: each.images)],
        facts=_facts(card),
        data={
            "name": card.name,
            "attacks": [each.model_dump(mode="json", exclude={"classes"}) for each in card.attacks],
        },
    )


def badge(card: Card) -> str:
    """Return an SVG of a line: the network, and how many images it takes to fool it."""
    _, score = card.headline
    images = f"> {score.budget:,}" if score.n50 is None else f"{score.n50:,.0f}"
    left, right = "images to fool", f"{images} at {level(round(score.confidence, 3))}"
    widths = [12 + 6.6 * len(text) for text in (left, right)]
    total = sum(widths)
    label = escape(f"{card.name}: {left} {right}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="20" role="img" '
        f'aria-label="{label}"><title>{label}</title>'
        f'<rect width="{total:.0f}" height="20" rx="3" fill="#3d464b"/>'
        f'<path d="M{widths[0]:.0f} 0H{total - 3:.0f}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{widths[0]:.0f}z" '
        'fill="#0f6b6b"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{widths[0] / 2:.0f}" y="14">{escape(left)}</text>'
        f'<text x="{widths[0] + widths[1] / 2:.0f}" y="14">{escape(right)}</text></g></svg>\n'
    )


def _headline(card: Card) -> dict[str, str]:
    title, score = card.headline
    sure = percent(score.confidence)
    beside = (
        ""
        if card.real is None or card.real.rho5 is None
        else ", as sure as it is of its least sure real pictures"
    )
    if score.n50 is None:
        text = f"Within {score.budget:,} images, {title} made it {sure} sure{beside}, in so many classes."
        return {"title": f"{percent(score.reached)} of the classes are fooled", "text": text}
    text = f"So many {title} were judged until half of the classes were at {sure}{beside}."
    return {"title": f"{score.n50:,.0f} images fool half of the classes", "text": text}


def _level_name(result: AttackResult, name: str) -> str:
    found = level(round(result.scores[name].confidence, 4))
    return f"rho5 ({found})" if name == "rho5" else found


def _easiest_first(result: AttackResult) -> list[int]:
    images = [np.inf if each.images is None else each.images for each in result.classes]
    return sorted(range(len(images)), key=lambda row: (images[row], -result.classes[row].confidence))


def _rows(result: AttackResult, order: Sequence[int]) -> list[ClassResult]:
    chosen = order if len(order) <= _ROWS else [*order[: _ROWS // 2], *order[-_ROWS // 2 :]]
    return [result.classes[row] for row in chosen]


def _pictures(reader: StoreReader, result: AttackResult, classes: Sequence[int]) -> list[dict[str, str]]:
    """Return the images of the first run for some classes."""
    confidence = reader.confidence(0)
    return [
        {
            "source": data_uri(picture, _SIDE, _MOST),
            "name": result.classes[class_].name,
            "value": percent(float(confidence[class_])),
        }
        for class_, picture in zip(classes, render_all(reader, 0, list(classes)), strict=True)
    ]


def _carried(card: Card, readers: Sequence[StoreReader]) -> Iterator[dict[str, Any]]:
    if card.carry_over is None:
        return
    stores = {str(reader.path): result.title for reader, result in zip(readers, card.attacks, strict=True)}
    titles = {each["name"]: stores[each["store"]] for each in card.carry_over["sources"]}
    for entry in card.carry_over["entries"]:
        if entry["denominator"] != "all" or entry["own"] or not entry["n"]:
            continue
        top1, sure = entry["top1"], entry["at"]["0.9"]
        yield {
            "source": titles.get(entry["source"], entry["source"]),
            "target": entry["target"],
            "n": entry["n"],
            "top1": top1["k"] / top1["n"],
            "top1_range": f"{percent(top1['low'])} to {percent(top1['high'])}",
            "sure": sure["k"] / sure["n"],
            "sure_range": f"{percent(sure['low'])} to {percent(sure['high'])}",
        }


def _by_images(card: Card) -> list[Noticed]:
    order = list(dict.fromkeys(each.images for each in card.noticed))
    return sorted(card.noticed, key=lambda each: order.index(each.images))


def _facts(card: Card) -> list[tuple[str, str]]:
    made, network = card.made, card.network
    return [
        ("protocol", card.protocol),
        ("network", network.name),
        ("fingerprint", network.fingerprint),
        ("engine", network.engine),
        ("real pictures", card.missing.get("real", card.dataset)),
        ("runs", f"{made.runs} of {made.images:,} images for each attack"),
        ("images judged", f"{card.number_forward_passes:,}"),
        ("seed", str(made.seed)),
        *((name, version) for name, version in made.versions.items()),
        *((name, str(value)) for name, value in made.conditions.items() if name not in made.versions),
    ]


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "one run"
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def _numbers(estimate: Estimate) -> str:
    return "one run" if estimate.low is None else f"{estimate.low:.3f} to {estimate.high:.3f}"
