"""Contact sheets: many elites on one picture, each with its name and confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from islands.store.images import Picture, Studio, as_image, render_all
from islands.store.reader import StoreReader
from islands.texts import percent

TOP = 24
"""Elites on a sheet, unless told otherwise."""

_TILE = 128
_GAP = 8
_CAPTION = 28
_LONGEST = 22


Order = Literal["confidence", "class", "name", "generation"]
"""What comes first on a sheet: high confidences, late generations."""


def choose(reader: StoreReader, run: int, order: Order, top: int = TOP) -> list[int]:
    """Return the classes of the first `top` elites of a run, each genome where it is surest.

    Raises:
        StoreError: there is no checkpoint yet, or no such run.
    """
    stored = reader.elite_columns(run, "confidence", "id")
    best = np.argsort(-stored["confidence"].astype(np.float64), kind="stable")
    ids = stored["id"].astype(np.int64)[best]
    _, first = np.unique(ids, return_index=True)
    distinct = best[np.sort(first[ids[first] >= 0])]
    return arrange(reader, run, distinct.tolist(), order)[:top]


def arrange(reader: StoreReader, run: int, classes: Sequence[int], order: Order) -> list[int]:
    """Return classes in the order of their elites; see `choose`."""
    if order == "class":
        return sorted(classes)
    if order == "name":
        return sorted(classes, key=lambda class_: reader.classes[class_].casefold())
    column = reader.elite_columns(run, order)[order]
    return sorted(classes, key=lambda class_: float(column[class_]), reverse=True)


def contact_sheet(
    reader: StoreReader,
    classes: Sequence[int],
    run: int = 0,
    *,
    columns: int | None = None,
    dark: bool = False,
) -> Picture:
    """Draw the elites of `classes` in a grid: uint8 (H, W, 3).

    Args:
        reader: the store.
        classes: one or more; empty cells stay blank.
        run: counted from 0.
        columns: pictures a row; None: a grid without gaps where there is one that is not too wide.
        dark: whether the page is black.

    Raises:
        StoreError: there is no checkpoint yet, or no such run.
    """
    stored = reader.elite_columns(run, "confidence", "id")
    filled = [class_ for class_ in classes if stored["id"][class_] >= 0]
    pictures = dict(zip(filled, render_all(reader, run, filled), strict=True))
    tiles = [
        Tile(pictures.get(each), reader.classes[each], float(stored["confidence"][each])) for each in classes
    ]
    return draw_grid(tiles, columns, dark=dark)


def cell_sheet(
    reader: StoreReader, class_: int, run: int = 0, *, columns: int | None = None, dark: bool = False
) -> Picture:
    """Draw the elites of all cells of a class in a grid, in their order: uint8 (H, W, 3).

    Args:
        reader: the store.
        class_: counted from 0.
        run: counted from 0.
        columns: pictures a row; None: a row has the bins of the last measure.
        dark: whether the page is black.

    Raises:
        StoreError: there is no checkpoint yet, or no such run.
    """
    layout, measures = reader.layout, reader.config.archive.measures
    stored = reader.cell_columns(run, "confidence", "id")
    studio = Studio(reader, run)
    tiles = [
        Tile(
            studio.draw(int(stored["id"][cell])) if stored["id"][cell] >= 0 else None,
            f"cell {within}",
            float(stored["confidence"][cell]),
        )
        for within, cell in enumerate(layout.of(range(class_, class_ + 1)))
    ]
    across = layout.places * (measures[-1].bins if measures else 1)
    return draw_grid(tiles, columns or across, dark=dark)


class Tile(NamedTuple):
    """A place on a sheet: its picture, None where there is none, and what stands below it."""

    picture: Picture | None
    name: str
    confidence: float | None


def draw_grid(tiles: Sequence[Tile], columns: int | None, *, dark: bool) -> Picture:
    """Draw tiles, one or more, in rows: uint8 (H, W, 3); see `contact_sheet` for `columns`."""
    across = columns or _columns(len(tiles))
    down = math.ceil(len(tiles) / across)
    paper, ink = ("black", "white") if dark else ("white", "black")
    sheet = Image.new("RGB", (_GAP + across * (_TILE + _GAP), _GAP + down * (_TILE + _CAPTION + _GAP)), paper)
    draw = ImageDraw.Draw(sheet)
    for place, tile in enumerate(tiles):
        x = _GAP + place % across * (_TILE + _GAP)
        y = _GAP + place // across * (_TILE + _CAPTION + _GAP)
        if tile.picture is not None:
            sheet.paste(_thumbnail(tile.picture), (x, y))
        confidence = "" if tile.confidence is None else percent(tile.confidence)
        caption = f"{_shorten(tile.name)}\n{confidence}"
        draw.multiline_text((x, y + _TILE + 1), caption, ink, ImageFont.load_default(10), spacing=1)
    return np.asarray(sheet)


def _columns(count: int) -> int:
    """Return the columns of the squarest grid that `count` fills, or that is nearly square."""
    square = math.ceil(math.sqrt(count))
    # Twice as wide as high at most: a prime number is no reason for a single row.
    full = (columns for columns in range(square, math.isqrt(4 * count) + 1) if count % columns == 0)
    return next(full, square)


def _thumbnail(picture: Picture) -> Image.Image:
    image = as_image(picture).convert("RGB")
    # Small images keep their pixels, which smoothing would blur.
    enlarged = picture.shape[0] < _TILE
    return image.resize((_TILE, _TILE), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "..."
