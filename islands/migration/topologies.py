"""Which islands may send migrants to which, in pagmo's words: one class for each topology.

Each is a function of its settings and, where chance draws, of the stream that it is given: nothing of it is
stored, and a resume derives it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isqrt
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from islands.extensions.kinds import Registry
from islands.extensions.sections import NonNegativeInt, PositiveInt, Probability, Section, own_settings

if TYPE_CHECKING:
    import numpy as np

Edges = Iterable[tuple[int, int]]
"""Pairs of a sender and a receiver."""


class TopologySettings(Section):
    """Who sends to whom. Your own derives from this, and says its edges.

    Example:
        >>> class Pairs(islands.TopologySettings):
        ...     def edges(self, count, stream):
        ...         return [(island ^ 1, island) for island in range(count) if island ^ 1 < count]
        >>> Pairs(name="pairs").edges(4, stream=None)
        [(1, 0), (0, 1), (3, 2), (2, 3)]
    """

    name: str
    """`islands topologies` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""

    def edges(self, count: int, stream: np.random.Generator) -> Edges:
        """Return the edges between `count` islands, as (sender, receiver), counted from 0.

        The order means nothing, and an edge may be named twice. From an island to itself there is none.

        Args:
            count: number of islands.
            stream: what chance is drawn from; another for each run, and the same when a run is resumed.
        """
        raise NotImplementedError(f"{type(self).__name__} says no edges")

    def check(self, count: int) -> None:
        """Raise a ValueError where the settings do not go with so many islands."""


class _Regular(TopologySettings):
    """A topology in which an island's place says all."""

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return those that send to an island: in any order, several times, itself too."""
        raise NotImplementedError

    def edges(self, count: int, stream: np.random.Generator) -> Edges:
        """Return edges; see `TopologySettings.edges`."""
        del stream
        pairs = ((sender, island) for island in range(count) for sender in self.senders(count, island))
        return (pair for pair in pairs if pair[0] != pair[1])


class Unconnected(_Regular):
    """Nobody sends anything: what islands owe each other are claims alone."""

    name: Literal["unconnected"] = "unconnected"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        del count, island
        return ()


class Ring(_Regular):
    """Both neighbours send: what is found travels slowly, and islands stay unlike."""

    name: Literal["ring"] = "ring"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        return (island - 1) % count, (island + 1) % count


class OneWayRing(_Regular):
    """The neighbour before sends: the slowest of all that reach everybody."""

    name: Literal["one_way_ring"] = "one_way_ring"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        return ((island - 1) % count,)


class FullyConnected(_Regular):
    """All others send: what is found is everywhere at once."""

    name: Literal["fully_connected"] = "fully_connected"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        del island
        return range(count)


class Star(_Regular):
    """Island 0 sends to all, and all send to it: everybody is two steps away."""

    name: Literal["star"] = "star"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        return (0,) if island else range(count)


class Torus(_Regular):
    """Four neighbours on a grid whose edges meet: as square as `count` can be divided; a ring for primes."""

    name: Literal["torus"] = "torus"

    def senders(self, count: int, island: int) -> Iterator[int]:
        """Return senders; see `_Regular`."""
        rows = next(each for each in range(isqrt(count), 0, -1) if count % each == 0)
        columns = count // rows
        row, column = divmod(island, columns)
        for step in (-1, 1):
            yield (row + step) % rows * columns + column
            yield row * columns + (column + step) % columns


class Hypercube(_Regular):
    """Those whose number differs in one bit: few edges, and few steps between any two."""

    name: Literal["hypercube"] = "hypercube"

    def senders(self, count: int, island: int) -> Iterable[int]:
        """Return senders; see `_Regular`."""
        bits = max(0, count - 1).bit_length()
        return (other for bit in range(bits) if (other := island ^ 1 << bit) < count)


class _Drawn(TopologySettings):
    """A topology that chance decides; edges lead both ways."""

    def pairs(self, count: int, stream: np.random.Generator) -> Edges:
        """Return pairs of islands that are joined: in any order, several times, an island and itself too."""
        raise NotImplementedError

    def edges(self, count: int, stream: np.random.Generator) -> Edges:
        """Return edges; see `TopologySettings.edges`."""
        for one, other in self.pairs(count, stream):
            if one != other:
                yield one, other
                yield other, one


class SmallWorld(_Drawn):
    """A ring of `neighbours` on either side, of which a share leads anywhere (Watts and Strogatz 1998)."""

    name: Literal["small_world"] = "small_world"
    neighbours: PositiveInt = 2
    """On either side, in the ring that it begins with."""
    rewired: Probability = 0.1
    """Probability that an edge leads anywhere instead."""

    def pairs(self, count: int, stream: np.random.Generator) -> Edges:
        """Return pairs; see `_Drawn`."""
        for island in range(count):
            for distance in range(1, min(self.neighbours, (count - 1) // 2) + 1):
                other = (island + distance) % count
                yield island, other if stream.random() >= self.rewired else int(stream.integers(count))


class ErdosRenyi(_Drawn):
    """Any two are joined with a probability (Erdos and Renyi 1959)."""

    name: Literal["erdos_renyi"] = "erdos_renyi"
    probability: Probability = 0.1
    """That two islands are joined."""

    def pairs(self, count: int, stream: np.random.Generator) -> Edges:
        """Return pairs; see `_Drawn`."""
        for island in range(count):
            joined = (stream.random(island) < self.probability).nonzero()[0]
            yield from ((island, int(other)) for other in joined)


class ScaleFree(_Drawn):
    """Newcomers are joined to `links` that have many edges already: few hubs (Barabasi and Albert 1999)."""

    name: Literal["scale_free"] = "scale_free"
    links: PositiveInt = 2
    """Islands that each further one is joined to."""

    def pairs(self, count: int, stream: np.random.Generator) -> Edges:
        """Return pairs; see `_Drawn`."""
        # Each island stands here once, and once more for each of its edges: who has many is drawn more often.
        ends = [0]
        for island in range(1, count):
            others: set[int] = set()
            while len(others) < min(self.links, island):
                others.add(ends[int(stream.integers(len(ends)))])
            yield from ((island, other) for other in sorted(others))
            ends += [*sorted(others), *[island] * (len(others) + 1)]


class FreeForm(TopologySettings):
    """The edges that the file names: for a cluster whose machines are near each other or far apart."""

    name: Literal["free_form"] = "free_form"
    pairs: Annotated[
        list[Annotated[list[NonNegativeInt], Field(min_length=2, max_length=2)]], Field(min_length=1)
    ]
    """Pairs of islands, `[SENDER, RECEIVER]`, counted from 0."""

    def edges(self, count: int, stream: np.random.Generator) -> Edges:
        """Return edges; see `TopologySettings.edges`."""
        del count, stream
        return ((sender, receiver) for sender, receiver in self.pairs)

    def check(self, count: int) -> None:
        """See `TopologySettings.check`."""
        if wrong := next((pair for pair in self.pairs if max(pair) >= count or pair[0] == pair[1]), None):
            raise ValueError(
                f"topology.pairs: got {wrong} for {count} islands; expected two different ones of 0 to "
                f"{count - 1}"
            )


TOPOLOGIES = Registry[type[TopologySettings]](
    "topologies",
    "a class that derives from islands.TopologySettings",
    own_settings(TopologySettings),
    {
        "ring": Ring,
        "one_way_ring": OneWayRing,
        "fully_connected": FullyConnected,
        "unconnected": Unconnected,
        "star": Star,
        "torus": Torus,
        "hypercube": Hypercube,
        "small_world": SmallWorld,
        "erdos_renyi": ErdosRenyi,
        "scale_free": ScaleFree,
        "free_form": FreeForm,
    },
)
"""All topologies by name."""
