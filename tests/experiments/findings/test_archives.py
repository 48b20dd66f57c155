"""What archives say together, against the plainest way to compute it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.experiments.findings.archives import Archives, Rows, median_over_runs
from islands.store.genealogy import goal_switches
from tests.reports.samples import archives


def history(*rows: tuple[int, int, int]) -> Rows:
    """Rows of class, child and parent."""
    classes, ids, parents = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "class": np.array(classes, np.int32),
        "id": np.array(ids, np.int64),
        "parents": np.array([(parent, -1) for parent in parents], np.int64).reshape(-1, 2),
    }


def counted(*rows: tuple[int, int, int]) -> tuple[int, int]:
    found = goal_switches(history(*rows), 4)
    return int(found.switches.sum()), int(found.takeovers.sum())


def test_a_child_of_its_own_champion_is_no_switch() -> None:
    assert counted((0, 10, -1), (0, 11, 10), (0, 12, 11)) == (0, 3)


def test_the_first_holder_replaces_nobody() -> None:
    assert counted((0, 10, -1), (1, 11, 10)) == (0, 2)


def test_one_child_may_switch_in_one_class_and_not_in_another() -> None:
    assert counted((0, 10, -1), (1, 20, -1), (0, 30, 20), (1, 30, 20), (0, 31, 30)) == (1, 5)


def test_an_earlier_champion_of_the_class_is_another_line() -> None:
    assert counted((0, 1, -1), (0, 2, 1), (0, 3, 1)) == (1, 3)


def test_nothing_happened() -> None:
    assert counted() == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(-1, 8)), max_size=30))
def test_switches_are_those_of_a_search_backwards(rows: list[tuple[int, int, int]]) -> None:
    switches = 0
    for place, (class_, _, parent) in enumerate(rows):
        earlier = [id_ for other, id_, _ in rows[:place] if other == class_]
        switches += bool(earlier) and parent >= 0 and earlier[-1] != parent
    assert counted(*rows) == (switches, len(rows))


def test_generations_are_found_in_the_curves() -> None:
    found: Archives = archives([[0.1, 0.2], [0.5, 0.9], [0.95, 0.99]], per_epoch=10)
    assert found.generations == 20
    assert found.at(10) == pytest.approx(np.array([[0.5, 0.9]]))
    assert found.at(5) is None
    assert found.at(30) is None
    assert found.reached(0.5) == [10]
    assert found.reached(0.96) == [None]


def test_the_median_is_over_runs_of_medians_over_classes() -> None:
    assert median_over_runs(np.array([[0.0, 0.2, 1.0], [0.4, 0.4, 0.4], [0.9, 0.0, 0.6]], np.float32)) == (
        pytest.approx(0.4)
    )
