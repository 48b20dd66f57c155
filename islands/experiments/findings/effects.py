"""Effect sizes with their intervals and tests: what verdicts rest on. Imports numpy, and scipy on use."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from islands.experiments.findings.archives import Archives
from islands.experiments.findings.verdicts import FEWEST, Effect

Floats = npt.NDArray[np.floating[Any]]

MANY = 100
"""From so many classes on, classes are the sample, and runs only steady the value of each. With fewer, such
as the ten digits, the classes are all that there are, and runs are the sample."""

NEGLIGIBLE = 0.147
"""Cliff's delta below which a difference is called negligible (Romano and others, 2006)."""

LEAST_ODDS = float(np.log(1.25))
"""A difference of log-odds that counts: odds a quarter higher."""

_SURE = 2.0**-24
"""Confidences are told apart down to this distance from 0 and from 1: float32 holds no more near 1."""


class Sample(NamedTuple):
    """Values (n,) that are independent of each other, and `of` what: classes, runs, images."""

    values: Floats
    of: str


def log_odds(confidence: Floats) -> Floats:
    """Return log(p / (1 - p)): a scale on which 99 % and 99.99 % lie as far apart as 1 % and 0.01 %."""
    p = confidence.astype(np.float64).clip(_SURE, 1 - _SURE)
    odds: Floats = np.log(p) - np.log1p(-p)
    return odds


def sample(values: Floats) -> Sample:
    """Reduce values (runs, classes) to their median over runs, or where classes are few, over classes."""
    by_class = values.shape[1] >= MANY
    return Sample(np.median(values, 0 if by_class else 1), "classes" if by_class else "runs")


def share_of(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> Sample:
    """Return shares of counts (runs, classes), by class or by run as `sample` has it, without those of 0."""
    by_class = whole.shape[1] >= MANY
    parts, wholes = (each.sum(0 if by_class else 1) for each in (part, whole))
    return Sample(parts[wholes > 0] / wholes[wholes > 0], "classes" if by_class else "runs")


def median(
    found: Sample, measure: str, null: str, least: float, *, most: float | None = None, of: float = 0
) -> Effect:
    """Return the median, less `of`; the sign test is of its lying outside `least` and `most`."""
    from scipy.stats import quantile_test

    values = found.values.astype(np.float64) - of
    if not len(values):
        return Effect.none(measure, "sign test", null, least, most)
    # To reach a bound is enough.
    p = quantile_test(values, q=np.nextafter(least, -np.inf), alternative="greater").pvalue
    if most is not None:
        p = max(p, quantile_test(values, q=np.nextafter(most, np.inf), alternative="less").pvalue)
    return _of_median(values, measure, f"sign test, {len(values):,} {found.of}", null, p, least, most)


def paired(
    differences: Sample, measure: str, null: str, least: float, *, most: float | None = None
) -> Effect:
    """Return the median difference of pairs; Wilcoxon's signed-rank test is of none."""
    from scipy.stats import wilcoxon

    values = differences.values.astype(np.float64)
    if not len(values):
        return Effect.none(measure, "Wilcoxon signed-rank", null, least, most)
    p = wilcoxon(values, alternative="greater", zero_method="zsplit").pvalue
    test = f"Wilcoxon signed-rank, {len(values):,} pairs of {differences.of}"
    return _of_median(values, measure, test, null, p, least, most)


def apart(higher: Sample, lower: Sample, measure: str, null: str, least: float = NEGLIGIBLE) -> Effect:
    """Return Cliff's delta of two independent samples; the test of Mann and Whitney is of none.

    The interval is that of DeLong and others for the area under the curve, of which delta is 2 A - 1.
    """
    from scipy.stats import mannwhitneyu, norm, rankdata

    first, second = (each.values.astype(np.float64) for each in (higher, lower))
    n, m = len(first), len(second)
    test = f"Mann-Whitney U, {n:,} and {m:,} {higher.of}"
    if not min(n, m):
        return Effect.none(f"Cliff's delta of {measure}", test, null, least)
    ranks = rankdata(np.concatenate([first, second]))
    # The share of the other sample that each value exceeds.
    above = (ranks[:n] - rankdata(first)) / m
    below = 1 - (ranks[n:] - rankdata(second)) / n
    size, half = 2 * float(above.mean()) - 1, None
    if min(n, m) >= FEWEST:
        half = 2 * float(norm.ppf(0.975) * np.sqrt(above.var(ddof=1) / n + below.var(ddof=1) / m))
    return Effect(
        measure=f"Cliff's delta of {measure}",
        size=size,
        low=None if half is None else max(-1.0, size - half),
        high=None if half is None else min(1.0, size + half),
        least=least,
        test=test,
        null=null,
        p=float(mannwhitneyu(first, second, alternative="greater").pvalue),
        n=min(n, m),
    )


def share(k: int, n: int, of: str, measure: str, null: str, least: float, under_null: float) -> Effect:
    """Return k of n, with Wilson's interval; the binomial test is of the share `under_null`."""
    from scipy.stats import binomtest

    if not n:
        return Effect.none(measure, "binomial", null, least)
    found = binomtest(k, n, under_null, alternative="greater")
    interval = binomtest(k, n).proportion_ci(method="wilson")
    return Effect(
        measure=measure,
        size=k / n,
        low=float(interval.low),
        high=float(interval.high),
        least=least,
        test=f"binomial, {n:,} {of}",
        null=null,
        p=float(found.pvalue),
        n=n,
    )


def means(first: Sample, second: Sample, measure: str, null: str, least: float, beyond: float = 0) -> Effect:
    """Return the difference of two means; Welch's test is of one of no more than `beyond`.

    Args:
        first: values, of which the mean may be the same for all.
        second: values that are not all the same; see `successes`.
        measure: what differs.
        null: in words.
        least: difference that counts.
        beyond: difference under the null.
    """
    from scipy.stats import ttest_ind

    one, other = first.values.astype(np.float64), second.values.astype(np.float64)
    n = min(len(one), len(other))
    test = f"Welch's t, {len(one):,} {first.of} and {len(other):,} {second.of}"
    if n < 2:
        return Effect.none(measure, test, null, least)
    with warnings.catch_warnings():
        # Of one sample without any spread, which is right as long as the other has some.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        p = ttest_ind(one - beyond, other, equal_var=False, alternative="greater").pvalue
        interval = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    return Effect(
        measure=measure,
        size=float(one.mean() - other.mean()),
        low=float(interval.low),
        high=float(interval.high),
        least=least,
        test=test,
        null=null,
        p=float(p),
        n=n,
    )


def successes(k: int, n: int, of: str) -> Sample:
    """Return k ones and n - k zeros, and one more of each, after Agresti and Caffo: some spread always."""
    return Sample(np.repeat([1.0, 0.0], [k + 1, n - k + 1]), of)


def advantage(better: Archives, worse: Archives, *, beyond_start: bool = True) -> Effect:
    """Return by how much the log-odds of one experiment exceed those of another, by class or by run.

    Args:
        better: the one said to be higher.
        worse: the other, of as many classes.
        beyond_start: whether what `better` was ahead at generation 0 is taken off.
    """
    runs = min(better.runs, worse.runs) if better.confidence.shape[1] < MANY else None
    first, second = (each.curves[:runs].astype(np.float64) for each in (better, worse))
    final = _difference(first[:, -1], second[:, -1])
    if not beyond_start:
        return paired(final, "log-odds", "no difference: either of a pair may be the higher", LEAST_ODDS)
    ahead = _difference(first[:, 0], second[:, 0]).values.clip(min=0)
    return paired(
        Sample(final.values - ahead, final.of),
        "log-odds ahead, beyond what generation 0 was ahead",
        "generation 0: no further ahead than before evolution",
        LEAST_ODDS,
    )


def _difference(first: Floats, second: Floats) -> Sample:
    one, other = sample(log_odds(first)), sample(log_odds(second))
    return Sample(one.values - other.values, one.of)


def _of_median(
    values: Floats, measure: str, test: str, null: str, p: float, least: float, most: float | None
) -> Effect:
    low, high = _interval(values)
    return Effect(
        measure=measure,
        size=float(np.median(values)),
        low=low,
        high=high,
        least=least,
        most=most,
        test=test,
        null=null,
        p=float(p),
        n=len(values),
    )


def _interval(values: Floats) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the median, from order statistics; None for an end that is not bounded."""
    from scipy.stats import quantile_test

    found = quantile_test(values).confidence_interval(0.95)
    low, high = (None if np.isnan(end) else float(end) for end in (found.low, found.high))
    return low, high
