"""Who leaves, who is let in, and from where."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from islands.config import IslandsConfig, MigrationConfig
from islands.evolution.elites import Elites
from islands.migration.policies import emigrants, replace_migrants, senders_to
from islands.migration.topology import build_topology


def table(ids: list[int], fitness: list[float] | None = None) -> Elites:
    n = len(ids)
    zeros: npt.NDArray[np.int32] = np.zeros(n, np.int32)
    return Elites(
        classes=np.arange(n, dtype=np.int32),
        fitness=np.array(fitness if fitness is not None else [0.5] * n, np.float32),
        probabilities=np.full((n, 8), 0.5, np.float32),
        ids=np.array(ids, np.int64),
        parents=np.full((n, 2), -1, np.int64),
        operators=np.zeros(n, np.uint8),
        islands=zeros,
        epochs=zeros,
        generations=zeros,
        genomes={"genes": np.array(ids, np.uint8).reshape(n, 1)},
    )


def test_random_emigrants_are_distinct_genomes_of_the_given_number() -> None:
    elites = table([1, 1, 2, 3, 3, 4])
    rows = emigrants(elites, MigrationConfig(size=3), np.random.default_rng(0))
    assert len(rows) == 3
    assert len(set(elites.ids[rows])) == 3
    assert list(rows) == sorted(rows)


def test_fewer_genomes_than_asked_for_all_leave() -> None:
    rows = emigrants(table([7, 7, 8]), MigrationConfig(size=9), np.random.default_rng(0))
    assert list(rows) == [0, 2]


def test_best_emigrants_have_the_highest_fitness_and_ties_go_to_the_first_class() -> None:
    elites = table([1, 2, 3, 4], [0.5, 0.9, 0.9, 0.9])
    rows = emigrants(elites, MigrationConfig(size=2, selection="best"), np.random.default_rng(0))
    assert list(rows) == [1, 2]


def test_a_migrant_that_is_held_or_owned_already_is_not_taken_again() -> None:
    """OpenEvolve: one program had 183 migrated descendants by iteration 850."""
    held, accepted = replace_migrants(
        table([1, 2]), table([2, 3, 4, 4]), np.array([3], np.int64), MigrationConfig()
    )
    assert held.ids.tolist() == [1, 2, 4]
    assert accepted.tolist() == [False, False, True, False]


@pytest.mark.parametrize(("replacement", "expected"), [("latest", [2, 3, 4]), ("best", [1, 3, 4])])
def test_beyond_capacity_the_policy_decides(replacement: str, expected: list[int]) -> None:
    config = MigrationConfig.model_validate({"capacity": 3, "replacement": replacement})
    held, _ = replace_migrants(
        table([1, 2], [0.9, 0.1]), table([3, 4], [0.5, 0.4]), np.empty(0, np.int64), config
    )
    assert held.ids.tolist() == expected


def test_evicted_migrants_make_room() -> None:
    held, _ = replace_migrants(
        table([1, 2]), table([3]), np.empty(0, np.int64), MigrationConfig(handling="evict")
    )
    assert held.ids.tolist() == [3]


def routes(config: IslandsConfig, epoch: int) -> list[tuple[int, ...]]:
    topology = build_topology(config)
    return [senders_to(i, topology, config, seed=0, run=0, epoch=epoch) for i in range(config.count)]


def test_broadcast_opens_every_connection_and_p2p_one() -> None:
    everyone = IslandsConfig(count=5, topology="fully_connected", migration=MigrationConfig(type="broadcast"))
    assert routes(everyone, 1)[2] == (0, 1, 3, 4)
    one = IslandsConfig(count=5, topology="fully_connected")
    assert {len(senders) for epoch in range(9) for senders in routes(one, epoch)} == {1}
    assert len({routes(one, epoch)[0] for epoch in range(30)}) == 4


def test_the_weight_is_the_share_of_epochs_in_which_a_connection_is_open() -> None:
    config = IslandsConfig(count=2, topology="ring", weight=0.3, migration=MigrationConfig(type="broadcast"))
    share = np.mean([len(routes(config, epoch)[0]) for epoch in range(2000)])
    assert 0.26 < share < 0.34


def test_every_counts_epochs_and_size_zero_closes_all() -> None:
    config = IslandsConfig(count=2, migration=MigrationConfig(every=3))
    assert [bool(routes(config, epoch)[0]) for epoch in range(7)] == [True, False, False] * 2 + [True]
    closed = IslandsConfig(count=2, migration=MigrationConfig(size=0))
    assert routes(closed, 0) == [(), ()]
