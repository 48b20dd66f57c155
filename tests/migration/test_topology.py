"""One conformance suite for every topology, and what each adds."""

from __future__ import annotations

import pytest

from islands.config import IslandsConfig
from islands.errors import ConfigError
from islands.migration.slices import class_slices
from islands.migration.topology import TOPOLOGIES, build_topology


@pytest.mark.parametrize("name", TOPOLOGIES)
@pytest.mark.parametrize("count", [1, 2, 3, 8])
class TestEveryTopology:
    """The contract of `Topology`."""

    def test_connections_name_other_islands_once_in_order(self, name: str, count: int) -> None:
        topology = TOPOLOGIES[name](count, 0.5)
        for island in range(count):
            senders = [connection.sender for connection in topology.get_connections(island)]
            assert senders == sorted(set(senders) - {island})
            assert all(0 <= sender < count for sender in senders)
            assert all(connection.weight == 0.5 for connection in topology.get_connections(island))

    def test_islands_that_do_not_exist_are_refused_with_the_count(self, name: str, count: int) -> None:
        """The bug pagmo #364: a topology of another size than the archipelago crashed."""
        with pytest.raises(ValueError, match=f"no island {count}: the topology has {count}"):
            TOPOLOGIES[name](count).get_connections(count)


@pytest.mark.parametrize(
    ("name", "count", "degree"),
    [("unconnected", 5, 0), ("ring", 5, 2), ("ring", 2, 1), ("ring", 1, 0), ("fully_connected", 5, 4)],
)
def test_degrees(name: str, count: int, degree: int) -> None:
    topology = TOPOLOGIES[name](count)
    assert [len(topology.get_connections(island)) for island in range(count)] == [degree] * count


def test_the_configuration_names_the_topology() -> None:
    topology = build_topology(IslandsConfig(count=4, topology="ring", weight=0.25))
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
