"""Ranks and tops, against sorting by hand."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from islands.classifiers.contract import Prediction
from islands.evolution.outcomes import outcomes


@given(st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1, max_size=5), st.data())
def test_outcomes_are_those_of_a_stable_sort(rows: list[list[int]], data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    logits = torch.tensor(rows, dtype=torch.float32)
    probabilities = logits.softmax(1)
    found = outcomes(Prediction(probabilities, logits), torch.tensor(targets))
    for row, (scores, target) in enumerate(zip(rows, targets, strict=True)):
        order = sorted(range(6), key=lambda class_: -scores[class_])
        assert found.top1[row] == order[0]
        assert found.target_rank[row] == order.index(target) + 1
        assert found.target_probability[row] == probabilities[row, target]
        assert found.top1_probability[row] == probabilities[row].max()


def test_saturated_probabilities_still_have_ranks() -> None:
    logits = torch.tensor([[-300.0, -200.0, 0.0]])
    found = outcomes(Prediction(logits.softmax(1), logits), torch.tensor([0]))
    assert (found.target_probability.item(), found.target_rank.item()) == (0.0, 3)
