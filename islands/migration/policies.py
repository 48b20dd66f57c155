"""Which elites leave, from whom an island receives, and which migrants it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from islands.errors import ConfigError
from islands.evolution.elites import Elites
from islands.evolution.streams import Purpose, epoch_stream
from islands.migration.migrants import MigrationConfig
from islands.migration.topology import Topology

Rows = npt.NDArray[np.intp]


def emigrants(elites: Elites, config: MigrationConfig, stream: np.random.Generator) -> Rows:
    """Return the rows that leave, at most `config.size`, in the order of their classes.

    A genome that holds several cells leaves once, for the first of them.

    Raises:
        ConfigError: the selection is somebody else's, and chooses what it cannot.
    """
    ids, first_rows = np.unique(elites.ids, return_index=True)
    first_rows = np.sort(first_rows[ids >= 0])  # no empty cells
    size = min(config.size, len(first_rows))
    chosen = config.selection.choose(elites.take(first_rows), size, stream)
    return np.sort(first_rows[_rows(chosen, len(first_rows), size, f"selection {config.selection.name}")])


def senders_to(
    island: int, topology: Topology, config: MigrationConfig, seed: int, run: int, epoch: int
) -> tuple[int, ...]:
    """Return the islands whose migrants of `epoch` go to `island`, in order.

    Each connection is open with the probability that is its weight; `p2p` then takes one of the open ones,
    `broadcast` all.
    """
    if config.size == 0 or epoch % config.every:
        return ()
    # A function of receiver and epoch: after a resume the routes are derived again, and none is stored.
    stream = epoch_stream(Purpose.ROUTING, seed, run, island, epoch)
    connections = topology.get_connections(island)
    open_ones = [
        c.sender
        for c, dice in zip(connections, stream.random(len(connections)), strict=True)
        if dice < c.weight
    ]
    if config.type == "p2p" and open_ones:
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

    Raises:
        ConfigError: the replacement is somebody else's, and chooses what it cannot.
    """
    previous = held if config.handling == "preserve" else held.take(np.empty(0, np.intp))
    pool = Elites.concatenate([previous, arrived])
    fresh = np.zeros(len(pool), bool)
    # The first of equal ids stays: a migrant that is held already does not become a newer one.
    fresh[np.unique(pool.ids, return_index=True)[1]] = True
    fresh &= ~np.isin(pool.ids, own_ids)
    candidates = np.flatnonzero(fresh)
    still_held = int((candidates < len(previous)).sum())
    chosen = config.replacement.keep(pool.take(candidates), still_held, config.capacity, stream)
    what = f"replacement {config.replacement.name}"
    kept = np.sort(candidates[_rows(chosen, len(candidates), config.capacity, what)])
    accepted = np.isin(np.arange(len(previous), len(pool)), kept)
    return pool.take(kept), accepted


def _rows(chosen: Any, of: int, most: int, what: str) -> Rows:
    """Return rows of `of` that somebody chose, if they are at most so many, and different ones."""
    rows = np.asarray(chosen)
    whole = rows.ndim == 1 and (np.issubdtype(rows.dtype, np.integer) or not rows.size)
    if not whole or len(rows) > most or len(np.unique(rows)) < len(rows) or ((rows < 0) | (rows >= of)).any():
        raise ConfigError(
            f"{what}: got the rows {str(rows.tolist())[:80]}; expected at most {most} different ones of 0 to "
            f"{of - 1}"
        )
    return rows.astype(np.intp)
