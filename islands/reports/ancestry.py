"""The lineages of the page: all ancestors of each elite, and what draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from islands.reports.scales import evenly, log_odds
from islands.store.genealogy import Ancestor, Genealogy

_BUDGET = 8_000_000
"""Characters of all that draws ancestors."""
_EVENLY = 8
"""Ancestors of an elite that are drawn before others are."""

Key = tuple[int, int]
"""Run and id of a genome."""

Drawn = str | list[Any] | None
"""The source of a picture, or the network that draws it; None where neither is there."""


def collect_lineages(
    elites: Sequence[tuple[int, int, Genealogy]], draw: Callable[[int, int], Drawn]
) -> dict[str, Any]:
    """Return the lineages of elites, each given by its run, its class and the genealogy of the run.

    Ancestors are shared. Of each: `generations`, and `drawn`, which is `draw(run, id)` until these have a
    number of characters: a few of each lineage come first. Each of `chains` has place, class and hundredths
    of log-odds of one ancestor after the other, the oldest first.
    """
    places: dict[Key, int] = {}
    known: dict[Key, Ancestor] = {}
    chains: list[list[int]] = []
    first: set[Key] = set()
    for run, class_, genealogy in elites:
        keys = [(run, genome) for genome in genealogy.chain_ids(class_)[:-1]]
        for key in keys:
            if key not in known:
                known[key] = genealogy.ancestor(key[1])
        first.update(keys[at] for at in evenly(len(keys), _EVENLY))
        classes = classes_along([known[key] for key in keys], class_)
        chain: list[int] = []
        for key, held in zip(keys, classes, strict=True):
            confidence = dict(known[key].held)[held]
            chain += (places.setdefault(key, len(places)), held, int(log_odds(confidence)))
        chains.append(chain)
    drawn: list[Drawn] = [None] * len(places)
    spent = 0
    # In the order of ids, in which a store reads them fastest.
    for key in (*sorted(first), *sorted(places.keys() - first)):
        if spent >= _BUDGET:
            break
        drawn[places[key]] = found = draw(*key)
        spent += len(found) if isinstance(found, str) else sum(map(len, found or ()))
    return {"generations": [known[key].generation for key in places], "drawn": drawn, "chains": chains}


def classes_along(ancestors: Iterable[Ancestor], target: int) -> list[int]:
    """Return the class that a lineage had at each of its ancestors, the oldest first.

    It is the target where the ancestor took that, else the class of its child in the lineage where it took
    that, else the one that it was best at: so it changes no more often than it must.
    """
    found: list[int] = []
    after = target
    for ancestor in reversed(list(ancestors)):
        took = {held.class_ for held in ancestor.held}
        after = next((class_ for class_ in (target, after) if class_ in took), ancestor.held[0].class_)
        found.append(after)
    return found[::-1]
