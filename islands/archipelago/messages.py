"""What driver and islands tell each other: plain numpy, so that it travels as stacked arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.evolution.ancestors import Ancestors
from islands.evolution.counters import Counters
from islands.evolution.elites import Elites
from islands.evolution.records import Rows

if TYPE_CHECKING:
    from islands.classifiers.contract import Classifier


class IslandKey(NamedTuple):
    """Names an island of a run."""

    run: int
    island: int


class NetworkFacts(NamedTuple):
    """What the driver knows of the source network and its images; it never loads the network.

    Attributes:
        classes: the K class names.
        fingerprint: see `Classifier.fingerprint`.
        channels: of the images, 1 or 3.
        size: of the images, in pixels.
        conditions: see `islands.classifiers.apart.conditions`.
    """

    classes: tuple[str, ...]
    fingerprint: str
    channels: int
    size: int
    conditions: Mapping[str, Any] = {}

    @classmethod
    def of(cls, classifier: Classifier, size: int) -> NetworkFacts:
        """Return the facts of a network that is shown images of `size`."""
        from islands.classifiers.apart import conditions

        return cls(
            classifier.classes, classifier.fingerprint, classifier.channels, size, conditions(classifier)
        )


@dataclass(frozen=True)
class IslandState:
    """All that an island is at the end of `epoch`.

    Attributes:
        epoch: the last epoch done; 0 is generation 0.
        elites: one row per class of its slice, in order.
        held: the migrants it holds as parent candidates.
        counters: the children of both, where parents are chosen by them.
    """

    epoch: int
    elites: Elites
    held: Elites
    counters: Counters = field(default_factory=Counters.none)


@dataclass(frozen=True)
class Inbox:
    """The mail that an island opens at the start of an epoch.

    Attributes:
        board: (K,) float32, the fitness of every class at the end of epoch e - lag; None before any is known.
        claims: children that beat a cell of this island, in the order of sender and class; None if none.
        claim_senders: (n,) int32.
        migrants: elites of connected islands, in the order of sender and class; None if none.
        migrant_senders: (m,) int32.
    """

    board: npt.NDArray[np.float32] | None = None
    claims: Elites | None = None
    claim_senders: npt.NDArray[np.int32] | None = None
    migrants: Elites | None = None
    migrant_senders: npt.NDArray[np.int32] | None = None


@dataclass(frozen=True)
class Outbox:
    """The mail of an island at the end of an epoch; the driver routes it.

    Attributes:
        board: (slice,) float32, the fitness of its own cells.
        claims: the best child of this epoch for each foreign class whose posted fitness it beats.
        migrants: the elites that leave along the topology; None if none do.
    """

    board: npt.NDArray[np.float32]
    claims: Elites | None
    migrants: Elites | None


@dataclass(frozen=True)
class Delta:
    """What an epoch changed on an island; with the state before, it gives the state after.

    Attributes:
        epoch: the epoch.
        elites: the cells taken, as they are at the end.
        held: the migrants now held; None if unchanged.
        history: `records.HISTORY` rows.
        migrations: `records.MIGRATIONS` rows.
        confidence: (slice,) float32, of every own cell at the end.
        evaluations: images scored.
        not_finite: those of them that got no finite scores and were skipped.
        ancestors: children of this epoch that lost their cells in it again, but whose descendants hold some
            or leave as claims; None where only ids of ancestors are kept.
        counters: see `IslandState`, as they are at the end; all of them.
        seconds: that the epoch took on its worker; no part of any result.
    """

    epoch: int
    elites: Elites
    held: Elites | None
    history: Rows
    migrations: Rows
    confidence: npt.NDArray[np.float32]
    evaluations: int
    not_finite: int = 0
    ancestors: Ancestors | None = None
    counters: Counters = field(default_factory=Counters.none)
    seconds: float = 0.0


class StepResult(NamedTuple):
    """What one epoch of one island gives."""

    delta: Delta
    outbox: Outbox
