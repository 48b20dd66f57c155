"""Which islands may send migrants to which, in pagmo's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from islands.config import IslandsConfig


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
        """Return the edges into `island`, in the order of their senders."""
        ...


@dataclass(frozen=True)
class Unconnected:
    """No edges."""

    count: int
    weight: float = 1.0

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return no edge."""
        _check(self.count, island)
        return ()


@dataclass(frozen=True)
class Ring:
    """Each island is joined to its two neighbours, in both directions."""

    count: int
    weight: float = 1.0

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return the edges from the neighbours."""
        _check(self.count, island)
        # In a ring of two both neighbours are the same island; in one of one they are the island itself.
        neighbours = {(island - 1) % self.count, (island + 1) % self.count} - {island}
        return tuple(Connection(sender, self.weight) for sender in sorted(neighbours))


@dataclass(frozen=True)
class FullyConnected:
    """Each island is joined to every other."""

    count: int
    weight: float = 1.0

    def get_connections(self, island: int) -> tuple[Connection, ...]:
        """Return the edges from all others."""
        _check(self.count, island)
        return tuple(Connection(sender, self.weight) for sender in range(self.count) if sender != island)


TOPOLOGIES: dict[str, type[Unconnected] | type[Ring] | type[FullyConnected]] = {
    "unconnected": Unconnected,
    "ring": Ring,
    "fully_connected": FullyConnected,
}


def build_topology(config: IslandsConfig) -> Topology:
    """Return the topology that a configuration names."""
    return TOPOLOGIES[config.topology](config.count, config.weight)


def _check(count: int, island: int) -> None:
    if not 0 <= island < count:
        raise ValueError(f"there is no island {island}: the topology has {count}, numbered from 0")
