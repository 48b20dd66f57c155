"""The graph of the islands of a store: who sends migrants to whom, and who owns which classes."""

from __future__ import annotations

from typing import Any

from islands.extensions.sections import Kept
from islands.migration.slices import class_slices
from islands.migration.topology import build_topology
from islands.store.reader import StoreReader

_EDGES = 4000
"""More edges than these are no picture."""


def collect_topology(reader: StoreReader) -> dict[str, Any]:
    """Return the islands and their graph in run 0, which chance may have drawn otherwise in other runs.

    `edges` is None where they are too many to be drawn, or known only to code of somebody else, which is not
    run.
    """
    config = reader.config
    settings = config.islands
    found: dict[str, Any] = {"name": settings.topology.name, "count": settings.count, "edges": None}
    found["classes"] = [
        [each.start, each.stop - 1] for each in class_slices(len(reader.classes), settings.count)
    ]
    if isinstance(settings.topology, Kept):
        return found
    graph = build_topology(settings.topology, settings.count, settings.weight, config.seed, 0)
    edges = [
        [edge.sender, island] for island in range(settings.count) for edge in graph.get_connections(island)
    ]
    return {**found, "edges": edges if len(edges) <= _EDGES else None}
