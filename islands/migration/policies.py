"""Which elites leave, from whom an island receives, and which migrants it keeps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from islands.config import IslandsConfig, MigrationConfig
from islands.evolution.elites import Elites
from islands.evolution.streams import Purpose, epoch_stream
from islands.migration.topology import Topology


def emigrants(elites: Elites, config: MigrationConfig, stream: np.random.Generator) -> npt.NDArray[np.intp]:
    """Return the rows that leave, at most `config.size`, in the order of their classes.

    A genome that holds several cells leaves once, for the first of them.
    """
    first_rows = np.sort(np.unique(elites.ids, return_index=True)[1])
    size = min(config.size, len(first_rows))
    if config.selection == "best":
        # Stable: of equals the first class leaves, whichever sort NumPy prefers on this machine.
        order = np.argsort(-elites.fitness[first_rows], kind="stable")
        chosen = first_rows[order[:size]]
    else:
        chosen = stream.choice(first_rows, size, replace=False)
    return np.sort(chosen)


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
    held: Elites, arrived: Elites, own_ids: npt.NDArray[np.int64], config: MigrationConfig
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
    if config.replacement == "best":
        order = np.argsort(-pool.fitness[candidates], kind="stable")
        kept = np.sort(candidates[order[: config.capacity]])
    else:
        kept = candidates[-config.capacity :]
    accepted = np.isin(np.arange(len(previous), len(pool)), kept)
    return pool.take(kept), accepted
