"""The lineages of the page: all ancestors of each elite, and what draws them."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from islands.reports.scales import evenly, log_odds
from islands.store.genealogy import Ancestor, Genealogy

_BUDGET = 10_000_000
"""Characters of all that draws ancestors."""
_EVENLY = 8
"""Ancestors of an elite that are drawn where there is no room for all."""

Key = tuple[int, int]
"""Run and id of a genome."""

Program = tuple[bytes, int, int]
"""A network that draws: functions (uint8), sources, targets (uint16) and genes (float32) of its connections,
little-endian, one after the other; how many nodes; how many connections."""


def collect_lineages(
    elites: Sequence[tuple[int, int, Genealogy]],
    picture: Callable[[int, int], str | None],
    program: Callable[[int, int], Program | None] | None,
) -> dict[str, Any]:
    """Return the lineages of elites, each given by its run, its class and the genealogy of the run.

    Ancestors are shared: `generations` has one entry for each. They are drawn by `networks` where there is a
    `program`, else they are `pictures`; where all are more than the page has room for, some of each lineage.
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
        "pictures": None if program else _pictures(order, some, picture),
        "networks": _networks(order, some, program) if program else None,
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
    order: list[Key], some: set[Key], picture: Callable[[int, int], str | None]
) -> list[str | None]:
    found: dict[Key, str | None] = {}
    spent = 0
    for key in sorted(order, key=lambda key: key not in some):
        if spent >= _BUDGET:
            break
        found[key] = picture(*key)
        spent += len(found[key] or "")
    return [found.get(key) for key in order]


def _networks(
    order: list[Key], some: set[Key], program: Callable[[int, int], Program | None]
) -> dict[str, Any]:
    """Return `sizes`, nodes and connections of one ancestor after the other, and their `bytes`.

    These are deflated: kin stand side by side, and differ in little.
    """
    # In the order of ids, in which a store reads them fastest.
    programs = {key: program(*key) for key in sorted(order)}
    packed, sizes = _packed([programs[key] for key in order])
    if len(packed) > _BUDGET:
        packed, sizes = _packed([programs[key] if key in some else None for key in order])
    while len(packed) > _BUDGET:
        some = set(sorted(some)[::2])
        packed, sizes = _packed([programs[key] if key in some else None for key in order])
    return {"sizes": sizes, "bytes": packed}


def _packed(programs: list[Program | None]) -> tuple[str, list[int]]:
    sizes: list[int] = []
    parts: list[bytes] = []
    for each in programs:
        content, nodes, connections = each or (b"", 0, 0)
        parts.append(content)
        sizes += (nodes, connections)
    return b64encode(zlib.compress(b"".join(parts))).decode(), sizes
