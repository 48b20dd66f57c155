"""Curves, areas, intervals and tests of searches at equal images, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.transfers.learning import LEVELS, Course, compare, estimate, holm


def course(seed: int, heights: list[float], step: int = 100) -> Course:
    """A course whose every class has the same confidence."""
    images = [step * (place + 1) for place in range(len(heights))]
    return Course.of(seed, images, np.array([[each] * 3 for each in heights], np.float32))


def test_a_course_is_of_medians_and_of_mean_logarithms() -> None:
    found = Course.of(7, [10, 20], np.array([[0.1, 0.2, 0.9], [0.5, 0.5, 0.0]], np.float32))
    assert found.median.tolist() == pytest.approx([0.2, 0.5])
    assert found.log[0] == pytest.approx(np.log([0.1, 0.2, 0.9]).mean(), rel=1e-6)
    assert found.log[1] == pytest.approx((2 * np.log(0.5) + np.log(1e-12)) / 3, rel=1e-6)


def test_a_level_is_reached_between_two_epochs() -> None:
    found = course(0, [0.1, 0.3, 0.3, 0.7])
    assert found.reached(0.1) == 100
    assert found.reached(0.2) == pytest.approx(150)
    assert found.reached(0.5) == pytest.approx(350)
    assert found.reached(0.71) is None


def test_arms_are_compared_over_the_images_that_all_saw() -> None:
    long = [course(seed, [0.1, 0.2, 0.4, 0.8]) for seed in range(3)]
    short = [course(seed, [0.1, 0.1], step=150) for seed in range(3)]
    found = compare({"long": long, "short": short})
    assert (found.images[0], found.images[-1]) == (150, 300)
    assert found.arms[0].final_median.mean == pytest.approx(0.4)
    assert found.arms[1].area.mean == pytest.approx(np.log(0.1), rel=1e-6)
    assert [price.level for price in found.arms[0].prices] == list(LEVELS)


def test_a_level_that_half_of_the_seeds_missed_has_no_price() -> None:
    arms = {"a": [course(0, [0.1, 0.6]), course(1, [0.1, 0.4])], "b": [course(0, [0.2, 0.2])]}
    prices = {price.level: price for price in compare(arms).arms[0].prices}
    assert (prices[0.5].images, prices[0.5].reached) == (None, 1)
    assert prices[0.25].reached == 2
    assert prices[0.25].images == pytest.approx((130 + 150) / 2)


def test_what_is_apart_is_told_and_corrected() -> None:
    dice = np.random.default_rng(1)

    def arm(height: float) -> list[Course]:
        return [course(seed, [height, height + dice.normal(0, 0.005)]) for seed in range(5)]

    found = compare({"good": arm(0.6), "same": arm(0.6), "bad": arm(0.2)})
    by_pair = {(c.first, c.second): c for c in found.contrasts}
    assert len(by_pair) == 3
    assert by_pair["good", "bad"].difference > 0.9
    assert by_pair["good", "bad"].corrected is not None
    assert by_pair["good", "bad"].corrected < 0.01
    assert by_pair["good", "same"].corrected is not None
    assert by_pair["good", "same"].corrected > 0.1


def test_one_seed_has_neither_interval_nor_test() -> None:
    found = compare({"a": [course(0, [0.1, 0.6])], "b": [course(0, [0.1, 0.2])]})
    assert found.arms[0].area.low is None
    assert found.contrasts[0].p is None


def test_equal_arms_are_not_apart() -> None:
    same = [course(seed, [0.1, 0.6]) for seed in range(3)]
    assert compare({"a": same, "b": same}).contrasts[0].corrected == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_against_its_definition(ps: list[float]) -> None:
    expected: dict[int, float] = {}
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda each: ps[each])):
        before = max(expected.values(), default=0.0)
        expected[place] = max(before, min(1.0, ps[place] * (len(ps) - rank)))
    assert holm(ps) == pytest.approx([expected[place] for place in range(len(ps))])


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=9))
def test_an_interval_holds_its_mean_within_the_values(values: list[float]) -> None:
    found = estimate(np.array(values))
    assert found.low is not None
    assert found.high is not None
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values) + 1e-9
