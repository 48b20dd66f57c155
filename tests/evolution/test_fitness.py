"""Log-odds tell apart what probabilities round to one."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from islands.classifiers.contract import Prediction, log_odds
from islands.evolution.fitness import fitness_of

LOGITS = st.lists(st.lists(st.floats(-60, 60, width=32), min_size=3, max_size=3), min_size=1, max_size=4)


@given(LOGITS)
def test_log_odds_match_double_precision(rows: list[list[float]]) -> None:
    logits = np.array(rows)
    expected = np.empty_like(logits)
    for k in range(3):
        others = np.delete(logits, k, axis=1)
        expected[:, k] = logits[:, k] - np.logaddexp.reduce(others, axis=1)
    found = log_odds(torch.tensor(rows, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)


def test_margin_orders_what_probability_cannot() -> None:
    logits = torch.tensor([[30.0, 0.0], [40.0, 0.0]])
    prediction = Prediction(logits.softmax(1), logits)
    first, margin = fitness_of(prediction, "first"), fitness_of(prediction, "margin")
    assert first[0, 0] == first[1, 0] == 1.0
    assert margin[0, 0] < margin[1, 0]
