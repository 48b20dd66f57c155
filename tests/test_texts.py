"""Shares as people read them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from islands.texts import level, percent


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (1e-9, "< 0.000001 %"),
        (1 - 1e-9, "> 99.999999 %"),
        (2.3e-5, "0.002 %"),
        (0.0421, "4.21 %"),
        (0.5, "50.00 %"),
        (0.9999, "99.99 %"),
        (np.float32(0.9999), "99.99 %"),
        (0.99995, "99.995 %"),
        (float(np.nextafter(np.float32(1), np.float32(0))), "99.999994 %"),
    ],
)
def test_a_share_in_percent(share: float, text: str) -> None:
    assert percent(share) == text


@given(st.floats(0, 1))
def test_only_all_is_all_and_none_is_none(share: float) -> None:
    text = percent(share)
    assert (text == "100 %") is (share == 1)
    assert (text == "0 %") is (share == 0)
    number = float(text.strip("<> %"))
    assert abs(number - 100 * share) <= 0.005
    assert 0 < number < 100 or share in (0, 1)


def test_a_chosen_level_has_its_own_digits() -> None:
    assert [level(each) for each in (0.5, 0.9, 0.99, 0.999, 0.9999)] == [
        *("50 %", "90 %", "99 %", "99.9 %", "99.99 %")
    ]
