"""The comparisons work; what they measure is never asserted."""

from __future__ import annotations

import torch

from tests.benchmarks.neat_python import rates
from tests.benchmarks.pyribs import run_islands, run_pyribs


def test_pyribs_and_islands_evolve_the_same_network() -> None:
    torch.set_num_threads(1)
    for outcome in (run_pyribs(3000), run_islands(3000)):
        assert outcome.images >= 3000
        assert outcome.confidence.shape == (10,)
        assert 0 <= outcome.confidence.min() < outcome.confidence.max() <= 1


def test_neat_python_and_islands_draw_the_same_images() -> None:
    theirs, ours, equal = rates(3)
    assert min(theirs, ours) > 0
    assert equal > 0.98
