"""The gallery over generations: of each elite the ancestor that was the latest by then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from islands.errors import InputError
from islands.reports.sheets import Tile, choose, draw_grid
from islands.store.genealogy import Ancestor, Genealogy
from islands.store.images import Picture, Studio
from islands.store.reader import StoreReader

_FRAMES = 16
_SHOWN = 24


class Frame(NamedTuple):
    """A gallery at one generation: an ancestor for each class; None where its line began later."""

    generation: int
    ancestors: list[Ancestor | None]


def frames(genealogy: Genealogy, classes: Sequence[int], most: int = _FRAMES) -> list[Frame]:
    """Return how the elites of `classes` came to be, in `most` steps at most; the last are the elites.

    Steps are close to one another when much is new.

    Raises:
        StoreError: a class has no elite.
    """
    chains = [genealogy.chain(class_) for class_ in classes]
    born = np.sort([each.generation for chain in chains for each in chain])
    places = np.linspace(0, len(born) - 1, min(most, len(born))).round().astype(int)
    return [
        Frame(generation, [_latest(chain, generation) for chain in chains])
        for generation in np.unique(born[places]).tolist()
    ]


def _latest(chain: Sequence[Ancestor], generation: int) -> Ancestor | None:
    return next((each for each in reversed(chain) if each.generation <= generation), None)


def growth_sheets(
    reader: StoreReader, classes: Sequence[int], run: int = 0, *, columns: int | None, dark: bool
) -> list[Picture]:
    """Draw the contact sheets of `frames`, all of one size: uint8 (H, W, 3) each.

    Below each ancestor stand the class that it was best at and its confidence.

    Raises:
        StoreError: there is no checkpoint yet, no such run, or a class has no elite.
        InputError: the store keeps no genomes of ancestors.
    """
    if reader.ancestor_table(run) is None:
        raise InputError(
            f"{reader.path} keeps of ancestors their ids alone (checkpoint.ancestors: ids), which cannot"
            " be drawn; expected genomes: set checkpoint.ancestors for a new run, or write a .png"
        )
    studio = Studio(reader, run)
    drawn: dict[int, Picture | None] = {}

    def tile(ancestor: Ancestor | None) -> Tile:
        if ancestor is None:
            return Tile(None, "", None)
        if ancestor.id not in drawn:
            drawn[ancestor.id] = studio.draw(ancestor.id)
        best = ancestor.held[0]
        return Tile(drawn[ancestor.id], reader.classes[best.class_], best.confidence)

    return [
        draw_grid([tile(each) for each in frame.ancestors], columns, dark=dark)
        for frame in frames(Genealogy(reader, run), classes)
    ]


def collect_growth(
    reader: StoreReader, genealogy: Genealogy, picture: Callable[[int, int], str | None]
) -> dict[str, Any] | None:
    """Return what the page shows of the growth of run 0's best; None: no genomes of ancestors are kept.

    Args:
        reader: the store.
        genealogy: of run 0.
        picture: gives the source of a small picture of an ancestor, by run and id.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint yet.
    """
    if reader.ancestor_table(0) is None:
        return None
    classes = choose(reader, 0, "confidence", _SHOWN)
    steps = frames(genealogy, classes)
    places: dict[int, int] = {}
    ancestors: list[dict[str, Any]] = []
    for ancestor in (each for step in steps for each in step.ancestors if each is not None):
        if ancestor.id not in places:
            places[ancestor.id] = len(ancestors)
            best = ancestor.held[0]
            ancestors.append(
                {
                    "class": best.class_,
                    "confidence": round(best.confidence, 8),
                    "picture": picture(0, ancestor.id),
                }
            )
    return {
        "classes": classes,
        "ancestors": ancestors,
        "steps": [
            {
                "generation": step.generation,
                "places": [None if each is None else places[each.id] for each in step.ancestors],
            }
            for step in steps
        ],
    }
