"""Which islands may send migrants to which, in pagmo's words.

A topology is a function of its settings, of the seed and of the run: nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Protocol

import numpy as np

from islands.config import GraphConfig, IslandsConfig, TopologyName
from islands.evolution.streams import Purpose, epoch_stream


@dataclass(frozen=True)
class Connection:
    """An edge into an island: migrants come from `sender`, in an epoch with probability `weight`."""

    sender: int
    weight: float


class Topology(Protocol):
    """A weighted directed graph of `count` islands."""

    @property
    def count(self) -> int:
        """Number of islands."""
        ...

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return the edges into `island`, in the order of their senders.

        Raises:
            ValueError: there is no such island.
        """
        ...


Senders = Callable[[int, int], Iterable[int]]
"""Of a number of islands and one of them, those that send to it: in any order, several times, itself too."""

Edges = Iterable[tuple[int, int]]
"""Pairs of a sender and a receiver."""


@dataclass(frozen=True)
class Graph:
    """A topology whose edges all have one weight."""

    count: int
    senders: Senders
    weight: float = 1.0

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return the edges into `island`; see `Topology`."""
        if not 0 <= island < self.count:
            raise ValueError(f"there is no island {island}: the topology has {self.count}, numbered from 0")
        senders = set(self.senders(self.count, island)) - {island}
        return tuple(Connection(sender, self.weight) for sender in sorted(senders))


def unconnected(_count: int, _island: int) -> Iterable[int]:
    """Nobody sends anything: what islands owe each other are claims alone."""
    return ()


def ring(count: int, island: int) -> Iterable[int]:
    """Both neighbours send: what is found travels slowly, and islands stay unlike."""
    return (island - 1) % count, (island + 1) % count


def one_way_ring(count: int, island: int) -> Iterable[int]:
    """The neighbour before sends: the slowest of all that reach everybody."""
    return ((island - 1) % count,)


def fully_connected(count: int, _island: int) -> Iterable[int]:
    """All others send: what is found is everywhere at once."""
    return range(count)


def star(count: int, island: int) -> Iterable[int]:
    """Island 0 sends to all, and all send to it: everybody is two steps away."""
    return (0,) if island else range(count)


def torus(count: int, island: int) -> Iterable[int]:
    """Four neighbours on a grid whose edges meet: as square as `count` can be divided; a ring for primes."""
    rows = next(each for each in range(isqrt(count), 0, -1) if count % each == 0)
    columns = count // rows
    row, column = divmod(island, columns)
    for step in (-1, 1):
        yield (row + step) % rows * columns + column
        yield row * columns + (column + step) % columns


def hypercube(count: int, island: int) -> Iterable[int]:
    """Those whose number differs in one bit: few edges, and few steps between any two."""
    bits = max(0, count - 1).bit_length()
    return (other for bit in range(bits) if (other := island ^ 1 << bit) < count)


REGULAR: Mapping[TopologyName, Senders] = {
    "ring": ring,
    "one_way_ring": one_way_ring,
    "fully_connected": fully_connected,
    "unconnected": unconnected,
    "star": star,
    "torus": torus,
    "hypercube": hypercube,
}
"""Those in which an island's place says all."""


def small_world(count: int, graph: GraphConfig, stream: np.random.Generator) -> Edges:
    """A ring of `neighbours` on either side, of which a share leads anywhere (Watts and Strogatz 1998)."""
    for island in range(count):
        for distance in range(1, min(graph.neighbours, (count - 1) // 2) + 1):
            other = (island + distance) % count
            yield island, other if stream.random() >= graph.rewired else int(stream.integers(count))


def erdos_renyi(count: int, graph: GraphConfig, stream: np.random.Generator) -> Edges:
    """Any two are joined with a probability (Erdos and Renyi 1959)."""
    for island in range(count):
        joined = np.flatnonzero(stream.random(island) < graph.probability)
        yield from ((island, int(other)) for other in joined)


def scale_free(count: int, graph: GraphConfig, stream: np.random.Generator) -> Edges:
    """Newcomers are joined to `links` that have many edges already: few hubs (Barabasi and Albert 1999)."""
    # Each island stands here once, and once more for each of its edges: who has many is drawn more often.
    ends = [0]
    for island in range(1, count):
        others: set[int] = set()
        while len(others) < min(graph.links, island):
            others.add(ends[int(stream.integers(len(ends)))])
        yield from ((island, other) for other in sorted(others))
        ends += [*sorted(others), *[island] * (len(others) + 1)]


DRAWN: Mapping[TopologyName, Callable[[int, GraphConfig, np.random.Generator], Edges]] = {
    "small_world": small_world,
    "erdos_renyi": erdos_renyi,
    "scale_free": scale_free,
}
"""Those that chance decides; edges lead both ways."""


def build_topology(config: IslandsConfig, seed: int, run: int) -> Topology:
    """Return the topology that a configuration names; chance may draw another for each run."""
    count, name = config.count, config.topology
    if name in REGULAR:
        return Graph(count, REGULAR[name], config.weight)
    if name == "free_form":
        edges: Edges = ((sender, receiver) for sender, receiver in config.graph.edges)
    else:
        stream = epoch_stream(Purpose.TOPOLOGY, seed, run, 0, 0)
        pairs = list(DRAWN[name](count, config.graph, stream))
        edges = [*pairs, *((receiver, sender) for sender, receiver in pairs)]
    senders: list[set[int]] = [set() for _ in range(count)]
    for sender, receiver in edges:
        senders[receiver].add(sender)
    return Graph(count, lambda _, island: senders[island], config.weight)
