"""Who leaves, who is let in, and from where."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.config import IslandsConfig
from islands.evolution.elites import Elites
from islands.migration.migrants import (
    REPLACEMENTS,
    SELECTIONS,
    MigrationConfig,
    ReplacementSettings,
    SelectionSettings,
)
from islands.migration.policies import emigrants, replace_migrants, senders_to
from islands.migration.topologies import FullyConnected
from islands.migration.topology import build_topology
from islands.testing import ReplacementTests, SelectionTests

fitnesses = st.lists(st.integers(0, 3).map(float), min_size=1, max_size=12)


def stream() -> np.random.Generator:
    return np.random.default_rng(0)


def migration(**settings: Any) -> MigrationConfig:
    return MigrationConfig.model_validate(settings)


def table(ids: list[int], fitness: list[float] | None = None, seen: list[float] | None = None) -> Elites:
    """Elites of which the network sees one number."""
    n = len(ids)
    zeros: npt.NDArray[np.int32] = np.zeros(n, np.int32)
    return Elites(
        cells=np.arange(n, dtype=np.int32),
        fitness=np.array(fitness if fitness is not None else [0.5] * n, np.float32),
        probabilities=np.repeat(np.array(seen or [0.5] * n, np.float32)[:, None], max(n, 8), axis=1),
        ids=np.array(ids, np.int64),
        parents=np.full((n, 2), -1, np.int64),
        operators=np.zeros(n, np.uint8),
        islands=zeros,
        epochs=zeros,
        generations=zeros,
        genomes={"genes": np.array(ids, np.uint8).reshape(n, 1)},
    )


@pytest.mark.parametrize("name", SELECTIONS.built_in)
class TestOurSelections(SelectionTests):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def settings(self) -> SelectionSettings:
        return SELECTIONS.get(self.name)(name=self.name)

    @given(fitnesses, st.integers(1, 12), st.integers(0, 9))
    def test_as_many_leave_as_may(self, name: str, fitness: list[float], size: int, seed: int) -> None:
        elites = table(list(range(len(fitness))), fitness)
        most = min(size, len(elites))
        assert len(SELECTIONS.get(name)(name=name).choose(elites, most, np.random.default_rng(seed))) == most


@pytest.mark.parametrize("name", REPLACEMENTS.built_in)
class TestOurReplacements(ReplacementTests):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def settings(self) -> ReplacementSettings:
        return REPLACEMENTS.get(self.name)(name=self.name)

    @given(fitnesses, fitnesses, st.integers(1, 12), st.integers(0, 9))
    def test_all_are_kept_that_there_is_room_for(
        self, name: str, held: list[float], arrived: list[float], capacity: int, seed: int
    ) -> None:
        pool = table(list(range(len(held) + len(arrived))), [*held, *arrived])
        keep = REPLACEMENTS.get(name)(name=name).keep
        assert len(keep(pool, len(held), capacity, np.random.default_rng(seed))) == min(capacity, len(pool))


def test_a_tournament_is_won_more_often_by_the_fitter() -> None:
    elites = table([1, 2, 3, 4], [0.0, 1.0, 2.0, 3.0])
    config = migration(size=1, selection="tournament")
    won = Counter(int(emigrants(elites, config, np.random.default_rng(i))[0]) for i in range(600))
    # Of six pairs of four, the best is in three, the next wins two, then one, then none.
    assert won[3] == pytest.approx(300, abs=50)
    assert won[2] == pytest.approx(200, abs=50)
    assert won[0] == 0


def test_the_diverse_are_the_best_and_what_is_seen_least_alike() -> None:
    elites = table([1, 2, 3, 4, 5], [0.1, 0.9, 0.2, 0.3, 0.4], [0.0, 0.1, 0.5, 0.9, 1.0])
    rows = emigrants(elites, migration(size=3, selection="diverse"), stream())
    # The best is seen as 0.1; 1.0 is farthest from it, and 0.5 is then the one that is near neither.
    assert list(rows) == [1, 2, 4]


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [(0.5, [1, 2]), (0.7, [1, 3]), (0.95, [1, 3])],
    ids=["less fit", "fitter than the one most like it", "fitter than all"],
)
def test_a_crowd_gives_way_where_it_is_most_alike(fitness: float, expected: list[int]) -> None:
    config = migration(capacity=2, replacement="crowding")
    held, arrived = table([1, 2], [0.9, 0.6], [0.0, 0.8]), table([3], [fitness], [0.7])
    kept, _ = replace_migrants(held, arrived, np.empty(0, np.int64), config, stream())
    assert kept.ids.tolist() == expected


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
    rows = emigrants(elites, migration(size=2, selection="best"), np.random.default_rng(0))
    assert list(rows) == [1, 2]


def test_a_migrant_that_is_held_or_owned_already_is_not_taken_again() -> None:
    """OpenEvolve: one program had 183 migrated descendants by iteration 850."""
    held, accepted = replace_migrants(
        table([1, 2]), table([2, 3, 4, 4]), np.array([3], np.int64), MigrationConfig(), stream()
    )
    assert held.ids.tolist() == [1, 2, 4]
    assert accepted.tolist() == [False, False, True, False]


@pytest.mark.parametrize(("replacement", "expected"), [("latest", [2, 3, 4]), ("best", [1, 3, 4])])
def test_beyond_capacity_the_policy_decides(replacement: str, expected: list[int]) -> None:
    config = MigrationConfig.model_validate({"capacity": 3, "replacement": replacement})
    held, _ = replace_migrants(
        table([1, 2], [0.9, 0.1]), table([3, 4], [0.5, 0.4]), np.empty(0, np.int64), config, stream()
    )
    assert held.ids.tolist() == expected


def test_evicted_migrants_make_room() -> None:
    held, _ = replace_migrants(
        table([1, 2]), table([3]), np.empty(0, np.int64), MigrationConfig(handling="evict"), stream()
    )
    assert held.ids.tolist() == [3]


def routes(config: IslandsConfig, epoch: int) -> list[tuple[int, ...]]:
    topology = build_topology(config.topology, config.count, config.weight, 0, 0)
    return [
        senders_to(i, topology, config.migration, seed=0, run=0, epoch=epoch) for i in range(config.count)
    ]


def test_broadcast_opens_every_connection_and_p2p_one() -> None:
    everyone = IslandsConfig(count=5, topology=FullyConnected(), migration=MigrationConfig(type="broadcast"))
    assert routes(everyone, 1)[2] == (0, 1, 3, 4)
    one = IslandsConfig(count=5, topology=FullyConnected())
    assert {len(senders) for epoch in range(9) for senders in routes(one, epoch)} == {1}
    assert len({routes(one, epoch)[0] for epoch in range(30)}) == 4


def test_the_weight_is_the_share_of_epochs_in_which_a_connection_is_open() -> None:
    config = IslandsConfig(count=2, weight=0.3, migration=MigrationConfig(type="broadcast"))
    share = np.mean([len(routes(config, epoch)[0]) for epoch in range(2000)])
    assert 0.26 < share < 0.34


def test_every_counts_epochs_and_size_zero_closes_all() -> None:
    config = IslandsConfig(count=2, migration=MigrationConfig(every=3))
    assert [bool(routes(config, epoch)[0]) for epoch in range(7)] == [True, False, False] * 2 + [True]
    closed = IslandsConfig(count=2, migration=MigrationConfig(size=0))
    assert routes(closed, 0) == [(), ()]
