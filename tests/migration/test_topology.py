"""One conformance suite for every topology, and what each adds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from islands.config import IslandsConfig
from islands.errors import ConfigError
from islands.migration.slices import class_slices
from islands.migration.topologies import TOPOLOGIES, TopologySettings
from islands.migration.topology import Topology, build_topology
from islands.testing import TopologyTests

NAMES = list(TOPOLOGIES.built_in)
DRAWN = ("small_world", "erdos_renyi", "scale_free")
BOTH_WAYS = [name for name in NAMES if name not in ("one_way_ring", "free_form")]


def build(name: str, count: int, seed: int = 0, weight: float = 1.0, **settings: Any) -> Topology:
    if name == "free_form" and count == 1:
        name = "unconnected"
    if name == "free_form" and not settings:
        settings["pairs"] = [[0, 1]]
    config = IslandsConfig.model_validate(
        {"count": count, "topology": {"name": name, **settings}, "weight": weight}
    )
    return build_topology(config.topology, config.count, config.weight, seed, 0)


def edges(topology: Topology) -> set[tuple[int, int]]:
    return {(c.sender, i) for i in range(topology.count) for c in topology.get_connections(i)}


def reached(topology: Topology, start: int = 0) -> Iterator[set[int]]:
    """Yield who is reached after each step from an island, until nobody is added."""
    known = {start}
    while True:
        yield known
        further = known | {receiver for sender, receiver in edges(topology) if sender in known}
        if further == known:
            return
        known = further


@pytest.mark.parametrize("name", NAMES)
class TestOurs(TopologyTests):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name
        self.counts = (2, 3, 8, 20) if name == "free_form" else (1, 2, 3, 8, 20)

    def settings(self) -> TopologySettings:
        own = {"pairs": [[0, 1]]} if self.name == "free_form" else {}
        return TOPOLOGIES.get(self.name).model_validate({"name": self.name, **own})

    @given(count=st.integers(2, 40), seed=st.integers(0, 5))
    def test_any_number_of_islands_is_joined(self, name: str, count: int, seed: int) -> None:
        found = edges(build(name, count, seed))
        assert all(one != other and max(one, other) < count for one, other in found)


@pytest.mark.parametrize("name", BOTH_WAYS)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_edges_lead_both_ways(name: str, count: int) -> None:
    found = edges(build(name, count))
    assert found == {(receiver, sender) for sender, receiver in found}


@pytest.mark.parametrize(
    ("name", "count", "degrees"),
    [
        ("unconnected", 5, {0}),
        ("ring", 5, {2}),
        ("ring", 2, {1}),
        ("ring", 1, {0}),
        ("one_way_ring", 5, {1}),
        ("fully_connected", 5, {4}),
        ("star", 5, {1, 4}),
        ("torus", 12, {4}),
        ("torus", 6, {3}),  # two rows: those above and below are one
        ("torus", 7, {2}),  # a prime is a ring
        ("hypercube", 8, {3}),
        ("hypercube", 5, {1, 2, 3}),
    ],
)
def test_degrees(name: str, count: int, degrees: set[int]) -> None:
    topology = build(name, count)
    assert {len(topology.get_connections(island)) for island in range(count)} == degrees


@pytest.mark.parametrize(
    ("name", "steps"),
    [("one_way_ring", 15), ("ring", 8), ("torus", 4), ("hypercube", 4), ("star", 2), ("fully_connected", 1)],
)
def test_everybody_is_reached_in_so_many_steps(name: str, steps: int) -> None:
    ways = [list(reached(build(name, 16), start)) for start in range(16)]
    assert all(way[-1] == set(range(16)) for way in ways)
    assert max(map(len, ways)) - 1 == steps


class TestDrawn:
    @pytest.mark.parametrize("name", DRAWN)
    def test_seeds_give_other_graphs(self, name: str) -> None:
        assert len({frozenset(edges(build(name, 30, seed))) for seed in range(5)}) == 5

    def test_a_small_world_without_rewiring_is_a_wide_ring(self) -> None:
        found = edges(build("small_world", 10, rewired=0.0, neighbours=2))
        assert found == {(i, (i + d) % 10) for i in range(10) for d in (-2, -1, 1, 2)}

    def test_some_shortcuts_make_the_world_small(self) -> None:
        far = len(list(reached(build("small_world", 200, rewired=0.0))))
        near = len(list(reached(build("small_world", 200, rewired=0.2))))
        assert near < far / 2

    def test_the_share_of_pairs_that_are_joined(self) -> None:
        found = len(edges(build("erdos_renyi", 100, probability=0.3))) / (100 * 99)
        assert found == pytest.approx(0.3, abs=0.03)
        assert edges(build("erdos_renyi", 10, probability=0.0)) == set()
        assert len(edges(build("erdos_renyi", 10, probability=1.0))) == 90

    def test_a_scale_free_graph_has_hubs_and_reaches_everybody(self) -> None:
        topology = build("scale_free", 300, links=2)
        degrees = sorted(len(topology.get_connections(island)) for island in range(300))
        assert degrees[0] == 2
        assert degrees[-1] > 6 * degrees[150]
        assert list(reached(topology))[-1] == set(range(300))

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_few_islands_have_all_the_links_that_they_can(self, count: int) -> None:
        assert edges(build("scale_free", count, links=5)) == edges(build("fully_connected", count))
        assert len(edges(build("scale_free", count, links=1))) == 2 * (count - 1)


class TestFreeForm:
    def test_is_what_is_written(self) -> None:
        assert edges(build("free_form", 4, pairs=[[0, 1], [2, 0], [2, 0]])) == {(0, 1), (2, 0)}

    @pytest.mark.parametrize(
        ("topology", "said"),
        [
            ("free_form", "Field required"),
            ({"name": "free_form", "pairs": []}, "at least 1 item"),
            ({"name": "ring", "pairs": [[0, 1]]}, "Extra inputs are not permitted"),
            ({"name": "free_form", "pairs": [[0, 4]]}, r"got \[0, 4\] for 4 islands"),
            ({"name": "free_form", "pairs": [[1, 1]]}, r"got \[1, 1\] for 4 islands"),
        ],
    )
    def test_what_joins_no_islands_is_refused(self, topology: Any, said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            IslandsConfig.model_validate({"count": 4, "topology": topology})


def test_the_configuration_names_the_topology() -> None:
    topology = build("ring", 4, weight=0.25)
    assert [(c.sender, c.weight) for c in topology.get_connections(0)] == [(1, 0.25), (3, 0.25)]


@pytest.mark.parametrize(("classes", "islands"), [(10, 1), (10, 3), (1000, 7), (5, 5)])
def test_slices_cover_all_classes_once_and_evenly(classes: int, islands: int) -> None:
    slices = class_slices(classes, islands)
    assert [c for s in slices for c in s] == list(range(classes))
    sizes = [len(s) for s in slices]
    assert max(sizes) - min(sizes) <= 1


def test_more_islands_than_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="11 islands for a network of 10 classes"):
        class_slices(10, 11)
