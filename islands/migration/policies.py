"""Which elites leave, from whom an island receives, and which migrants it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from islands.config import IslandsConfig, MigrationConfig
from islands.evolution.elites import Elites
from islands.evolution.streams import Purpose, epoch_stream
from islands.migration.topology import Topology

Rows = npt.NDArray[np.intp]

Select = Callable[[Elites, int, np.random.Generator], Rows]
"""Of elites that are all of different genomes, the rows of so many that leave; they are no fewer."""

Replace = Callable[[Elites, int, int, np.random.Generator], Rows]
"""Of migrants that are all of different genomes, the rows that are kept. Those held before come first; their
number and the capacity are the second and the third argument."""


def at_random(elites: Elites, size: int, stream: np.random.Generator) -> Rows:
    """Any is as likely as another: keeps islands unlike."""
    return stream.choice(len(elites), size, replace=False)


def best(elites: Elites, size: int, _stream: np.random.Generator) -> Rows:
    """Those of highest fitness: spreads what is good, and makes islands alike."""
    # Stable: of equals the first class leaves, whichever sort NumPy prefers on this machine.
    return np.argsort(-elites.fitness, kind="stable")[:size]


def tournament(elites: Elites, size: int, stream: np.random.Generator) -> Rows:
    """The fitter of two drawn ones, again and again: between `random` and `best`."""
    left, chosen = list(range(len(elites))), list[int]()
    for _ in range(size):
        pair = [left[i] for i in stream.choice(len(left), min(2, len(left)), replace=False)]
        winner = max(pair, key=lambda row: (elites.fitness[row], -row))
        left.remove(winner)
        chosen.append(winner)
    return np.array(chosen, np.intp)


def diverse(elites: Elites, size: int, _stream: np.random.Generator) -> Rows:
    """The best, then whatever is farthest in the network's probabilities from all chosen: shows the most."""
    chosen = [int(np.argmax(elites.fitness))]
    distances = _distances(elites, chosen[0])
    while len(chosen) < size:
        # Not again, even where all that are left are copies of those chosen.
        distances[chosen] = -1
        chosen.append(int(np.argmax(distances)))
        distances = np.minimum(distances, _distances(elites, chosen[-1]))
    return np.array(chosen, np.intp)


SELECTIONS: Mapping[str, Select] = {
    "random": at_random,
    "best": best,
    "tournament": tournament,
    "diverse": diverse,
}


def latest(migrants: Elites, _held: int, capacity: int, _stream: np.random.Generator) -> Rows:
    """Those that came last: what is held changes always."""
    return np.arange(len(migrants))[-capacity:]


def fittest(migrants: Elites, _held: int, capacity: int, stream: np.random.Generator) -> Rows:
    """Those of highest fitness; of equals, those that came first."""
    return best(migrants, capacity, stream)


def any_of_them(migrants: Elites, _held: int, capacity: int, stream: np.random.Generator) -> Rows:
    """Drawn ones: some stay long, and none for sure."""
    return at_random(migrants, min(capacity, len(migrants)), stream)


def crowding(migrants: Elites, held: int, capacity: int, _stream: np.random.Generator) -> Rows:
    """Where there is no room, a newcomer takes the place of the held one most like it, if it is fitter."""
    kept = list(range(min(held, capacity)))
    for row in range(len(kept), len(migrants)):
        if len(kept) < capacity:
            kept.append(row)
            continue
        nearest = int(np.argmin(_distances(migrants, row)[kept]))
        if migrants.fitness[row] > migrants.fitness[kept[nearest]]:
            kept[nearest] = row
    return np.array(kept, np.intp)


REPLACEMENTS: Mapping[str, Replace] = {
    "latest": latest,
    "best": fittest,
    "random": any_of_them,
    "crowding": crowding,
}


def _distances(elites: Elites, row: int) -> npt.NDArray[np.float32]:
    """Return how far each is from one of them in the network's probabilities, squared: float32 (n,)."""
    squares: npt.NDArray[np.float32] = ((elites.probabilities - elites.probabilities[row]) ** 2).sum(1)
    return squares


def emigrants(elites: Elites, config: MigrationConfig, stream: np.random.Generator) -> Rows:
    """Return the rows that leave, at most `config.size`, in the order of their classes.

    A genome that holds several cells leaves once, for the first of them.
    """
    first_rows = np.sort(np.unique(elites.ids, return_index=True)[1])
    size = min(config.size, len(first_rows))
    chosen = SELECTIONS[config.selection](elites.take(first_rows), size, stream)
    return np.sort(first_rows[chosen])


def senders_to(
    island: int, topology: Topology, config: IslandsConfig, seed: int, run: int, epoch: int
) -> tuple[int, ...]:
    """Return the islands whose migrants of `epoch` go to `island`, in order.

    Each connection is open with the probability that is its weight; `p2p` then takes one of the open ones,
    `broadcast` all.
    """
    if config.migration.size == 0 or epoch % config.migration.every:
        return ()
    # A function of receiver and epoch: after a resume the routes are derived again, and none is stored.
    stream = epoch_stream(Purpose.ROUTING, seed, run, island, epoch)
    connections = topology.get_connections(island)
    open_ones = [
        c.sender
        for c, dice in zip(connections, stream.random(len(connections)), strict=True)
        if dice < c.weight
    ]
    if config.migration.type == "p2p" and open_ones:
        return (open_ones[int(stream.integers(len(open_ones)))],)
    return tuple(open_ones)


def replace_migrants(
    held: Elites,
    arrived: Elites,
    own_ids: npt.NDArray[np.int64],
    config: MigrationConfig,
    stream: np.random.Generator,
) -> tuple[Elites, npt.NDArray[np.bool_]]:
    """Return the migrants held from now on, and for each of `arrived` whether it is among them.

    A genome that the island already owns or holds is not taken again: copies would crowd out the rest.
    """
    previous = held if config.handling == "preserve" else held.take(np.empty(0, np.intp))
    pool = Elites.concatenate([previous, arrived])
    fresh = np.zeros(len(pool), bool)
    # The first of equal ids stays: a migrant that is held already does not become a newer one.
    fresh[np.unique(pool.ids, return_index=True)[1]] = True
    fresh &= ~np.isin(pool.ids, own_ids)
    candidates = np.flatnonzero(fresh)
    still_held = int((candidates < len(previous)).sum())
    replace = REPLACEMENTS[config.replacement]
    kept = np.sort(candidates[replace(pool.take(candidates), still_held, config.capacity, stream)])
    accepted = np.isin(np.arange(len(previous), len(pool)), kept)
    return pool.take(kept), accepted
