"""The lineages of the page: all ancestors of each elite, and what draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from islands.reports.embedded_networks import Program, packed
from islands.reports.scales import evenly, log_odds
from islands.store.genealogy import Ancestor, Genealogy

BUDGET = 10_000_000
"""Characters of all that draws ancestors, at the most."""
_EVENLY = 8
"""Ancestors of an elite that are drawn where there is no room for all."""

Key = tuple[int, int]
"""Run and id of a genome."""


def collect_lineages(
    elites: Sequence[tuple[int, int, Genealogy]],
    picture: Callable[[int, int], str | None],
    program: Callable[[int, int], Program | None] | None,
    budget: int = BUDGET,
) -> dict[str, Any]:
    """Return the lineages of elites, each given by its run, its class and the genealogy of the run.

    Ancestors are shared: `generations` has one entry for each. They are drawn by `networks` where there is a
    `program`, else they are `pictures`; where all are more than `budget` characters, some of each lineage.
    Each of `chains` has place, class and hundredths of log-odds of one ancestor after the other, the oldest
    first.
    """
    places: dict[Key, int] = {}
    known: dict[Key, Ancestor] = {}
    chains: list[list[int]] = []
    some: set[Key] = set()
    for run, class_, genealogy in elites:
        keys = [(run, genome) for genome in genealogy.chain_ids(class_)[:-1]]
        for key in keys:
            if key not in known:
                known[key] = genealogy.ancestor(key[1])
        some.update(keys[at] for at in evenly(len(keys), _EVENLY))
        classes = classes_along([known[key] for key in keys], class_)
        chain: list[int] = []
        for key, held in zip(keys, classes, strict=True):
            odds = int(log_odds(dict(known[key].held)[held]))
            chain += (places.setdefault(key, len(places)), held, odds)
        chains.append(chain)
    order = list(places)
    return {
        "generations": [known[key].generation for key in order],
        "chains": chains,
        "pictures": None if program else _pictures(order, some, picture, budget),
        "networks": _networks(order, some, program, budget) if program else None,
    }


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


def _pictures(
    order: list[Key], some: set[Key], picture: Callable[[int, int], str | None], budget: int
) -> list[str | None]:
    found: dict[Key, str | None] = {}
    spent = 0
    for key in sorted(order, key=lambda key: key not in some):
        if spent >= budget:
            break
        found[key] = picture(*key)
        spent += len(found[key] or "")
    return [found.get(key) for key in order]


def _networks(
    order: list[Key], some: set[Key], program: Callable[[int, int], Program | None], budget: int
) -> dict[str, Any]:
    """Return the ancestors' networks as `packed`: as many of each lineage as there is room for."""
    # In the order of ids, in which a store reads them fastest.
    programs = {key: program(*key) for key in sorted(order)}
    networks = packed(programs[key] for key in order)
    if len(networks["bytes"]) > budget:
        networks = packed(programs[key] if key in some else None for key in order)
    while len(networks["bytes"]) > budget:
        some = set(sorted(some)[::2])
        networks = packed(programs[key] if key in some else None for key in order)
    return networks
