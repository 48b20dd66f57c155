"""The graph of the islands of a run: who may send to whom, and how probably."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from islands.errors import ConfigError
from islands.evolution.streams import Purpose, epoch_stream
from islands.extensions.foreign import told
from islands.migration.topologies import TopologySettings


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


@dataclass(frozen=True)
class Graph:
    """A topology whose edges all have one weight; `senders` has those of each island, in order."""

    senders: tuple[tuple[int, ...], ...]
    weight: float = 1.0

    @property
    def count(self) -> int:
        """Number of islands."""
        return len(self.senders)

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return the edges into `island`; see `Topology`."""
        if not 0 <= island < self.count:
            raise ValueError(f"there is no island {island}: the topology has {self.count}, numbered from 0")
        return tuple(Connection(sender, self.weight) for sender in self.senders[island])


def build_topology(settings: TopologySettings, count: int, weight: float, seed: int, run: int) -> Topology:
    """Return the graph of `count` islands that settings describe; chance may draw another for each run.

    Raises:
        ConfigError: the topology is somebody else's, and its edges are none.
    """
    stream = epoch_stream(Purpose.TOPOLOGY, seed, run, 0, 0)
    with told(f"topology {settings.name}: it failed with", "mend that first", ConfigError):
        edges = {(int(sender), int(receiver)) for sender, receiver in settings.edges(count, stream)}
    for edge in sorted(edges):
        if edge[0] == edge[1] or not all(0 <= island < count for island in edge):
            raise ConfigError(
                f"topology {settings.name}: got the edge {edge} for {count} islands; expected two different "
                f"ones of 0 to {count - 1}"
            )
    senders: list[list[int]] = [[] for _ in range(count)]
    for sender, receiver in sorted(edges):
        senders[receiver].append(sender)
    return Graph(tuple(map(tuple, senders)), weight)
