"""Effect sizes, intervals and tests, against the plainest way to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from islands.experiments.findings import effects
from islands.experiments.findings.effects import Sample
from islands.experiments.findings.verdicts import Effect, Verdict


def rule(size: float | None, low: float | None, high: float | None, p: float | None, n: int) -> Verdict:
    return Effect("size", size, low, high, 0.5, "test", "null", p, n, most=0.9).verdict


@pytest.mark.parametrize(
    ("size", "low", "high", "p", "n", "verdict"),
    [
        (0.7, 0.6, 0.8, 0.001, 7, Verdict.AGREES),
        (0.7, 0.6, 0.8, 0.01, 7, Verdict.TOO_FEW),
        (0.7, 0.6, 0.8, 0.001, 6, Verdict.TOO_FEW),
        (0.4, 0.2, 0.6, 0.001, 100, Verdict.TOO_FEW),
        (0.4, 0.3, 0.49, 0.001, 100, Verdict.DISAGREES),
        (0.4, 0.3, 0.49, 0.5, 1, Verdict.DISAGREES),
        (0.4, None, None, 0.5, 3, Verdict.TOO_FEW),
        (0.95, 0.91, 0.99, 0.001, 100, Verdict.DISAGREES),
        (0.95, 0.85, 0.99, 0.001, 100, Verdict.TOO_FEW),
        (None, None, None, None, 0, Verdict.TOO_FEW),
    ],
)
def test_the_rule_of_verdicts(
    size: float | None, low: float | None, high: float | None, p: float | None, n: int, verdict: Verdict
) -> None:
    assert rule(size, low, high, p, n) is verdict


def test_delta_counts_pairs() -> None:
    generator = np.random.default_rng(0)
    # A few values are equal.
    high, low = generator.integers(4, 30, 50) / 30, generator.integers(0, 26, 60) / 30
    found = effects.apart(Sample(high, "classes"), Sample(low, "classes"), "confidence", "")
    signs = np.sign(high[:, None] - low[None, :])
    assert found.size == pytest.approx(signs.mean())
    assert (found.n, found.test) == (50, "Mann-Whitney U, 50 and 60 classes")
    resampled = [
        np.sign(generator.choice(high, 50)[:, None] - generator.choice(low, 60)[None, :]).mean()
        for _ in range(2000)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(resampled, (0.025, 0.975)), abs=0.05)
    # The normal approximation with its corrections for ties and for continuity.
    n, m = len(high), len(low)
    _, tied = np.unique(np.concatenate([high, low]), return_counts=True)
    ties = (tied**3 - tied).sum() / ((n + m) * (n + m - 1))
    z = ((signs.sum() / 2) - 0.5) / np.sqrt(n * m / 12 * (n + m + 1 - ties))
    assert found.p == pytest.approx(float(norm.sf(z)), rel=1e-3)


def test_medians_and_pairs_have_intervals_of_order_statistics() -> None:
    values = Sample(np.arange(10.0), "runs")
    found = effects.median(values, "", "", 1.0)
    assert (found.size, found.low, found.high) == (4.5, 1, 8)
    # To reach 1 is enough: nine of ten do.
    assert found.p == pytest.approx(11 / 2**10)
    assert effects.median(values, "", "", 1.0, most=7.0).p == pytest.approx(56 / 2**10)
    pairs = effects.paired(values, "", "", 1.0)
    assert (pairs.size, pairs.low, pairs.high) == (4.5, 1, 8)
    few = effects.paired(Sample(np.ones(3), "runs"), "", "", 0.5)
    assert (few.low, few.high, few.p) == (None, None, 1 / 8)
    nothing = effects.paired(Sample(np.zeros(9), "runs"), "", "", 0.5)
    assert (nothing.p, nothing.verdict) == (1, Verdict.DISAGREES)
    assert effects.median(Sample(np.empty(0), "runs"), "", "", 1).verdict is Verdict.TOO_FEW


def test_accuracies_differ_as_by_the_normal_approximation() -> None:
    first, second = effects.successes(9600, 10_000, "images"), effects.successes(9700, 10_000, "images")
    found = effects.means(first, second, "", "", -0.01, beyond=-0.01)
    spread = np.sqrt((0.96 * 0.04 + 0.97 * 0.03) / 10_000)
    assert found.size == pytest.approx(-0.01, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((-0.01 - 1.96 * spread, -0.01 + 1.96 * spread), abs=1e-4)
    assert found.p == pytest.approx(0.5, abs=0.02)
    # Every image, against a control of which none does.
    sure = effects.means(Sample(np.ones(10), "classes"), effects.successes(0, 200, "images"), "", "", 0.01)
    assert sure.verdict is Verdict.AGREES


def test_many_classes_are_the_sample_and_few_are_not() -> None:
    values = np.arange(600.0).reshape(3, 200)
    assert effects.sample(values).of == "classes"
    assert np.array_equal(effects.sample(values).values, values[1])
    assert effects.sample(values[:, :10]).of == "runs"
    assert np.array_equal(effects.sample(values[:, :10]).values, [4.5, 204.5, 404.5])


def test_log_odds_of_certainty_are_finite() -> None:
    found = effects.log_odds(np.array([0, 0.5, 0.75, 1], np.float32))
    assert np.isfinite(found).all()
    assert found[1:3] == pytest.approx([0, np.log(3)])
