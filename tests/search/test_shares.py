"""How a generation's images are divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.search.shares import visits

EMITTERS = st.lists(st.tuples(st.sampled_from([1, 1, 1, 4, 20]), st.floats(0.01, 9)), max_size=5)


@given(others=EMITTERS, images=st.integers(1, 400), generation=st.integers(1, 10_000))
def test_every_image_is_spent_and_no_more(
    others: list[tuple[int, float]], images: int, generation: int
) -> None:
    costs, shares = zip((1, 1.0), *others, strict=True)
    found = visits(costs, shares, images, generation)
    assert min(found) >= 0
    assert sum(count * cost for count, cost in zip(found, costs, strict=True)) == images


@pytest.mark.parametrize("images", [1, 7, 48])
def test_shares_are_kept_over_many_generations(images: int) -> None:
    shares = [2.0, 2.0, 2.0, 1.0]
    totals = [0] * 4
    for generation in range(1, 1001):
        for place, count in enumerate(visits([1] * 4, shares, images, generation)):
            totals[place] += count
    for total, share in zip(totals, shares, strict=True):
        assert total / (1000 * images) == pytest.approx(share / 7, abs=0.02)


def test_what_costs_much_has_its_share_of_images() -> None:
    spent = sum(20 * visits([1, 20], [1.0, 1.0], 48, generation)[1] for generation in range(1, 1001))
    assert spent / 48_000 == pytest.approx(0.5, abs=0.02)
