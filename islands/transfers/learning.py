"""Searches compared at equal images: curves, areas, intervals and tests over seeds. Imports scipy on use.

A seed is the unit: the classes of one archive share their images, and are not independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVELS = (0.1, 0.25, 0.5, 0.88, 0.99)
"""Medians of confidence whose price in images is told; 0.88 is the paper's for ImageNet, in round."""

LEAST = 1e-12
"""Confidences below are taken for it: the mean logarithm must not hang on what float32 makes of nothing."""

RESAMPLES = 2000
POINTS = 60


@dataclass(frozen=True)
class Course:
    """One archive over E epochs.

    Attributes:
        seed: of the run.
        images: (E,) scored by the end of each epoch, increasing.
        median: (E,) over classes, of the confidence.
        log: (E,) mean over classes of the logarithm of the confidence, in nats.
    """

    seed: int
    images: Floats
    median: Floats
    log: Floats

    @staticmethod
    def of(seed: int, images: Sequence[int], confidence: npt.NDArray[np.float32]) -> Course:
        """Reduce the confidences (E, K) of all classes."""
        values = confidence.astype(np.float64)
        logs = np.log(values.clip(min=LEAST)).mean(1)
        return Course(seed, np.asarray(images, np.float64), np.median(values, axis=1), logs)

    def reached(self, level: float) -> float | None:
        """Return the images after which the median was at `level`, between two epochs; None: never."""
        above = np.flatnonzero(self.median >= level)
        if not len(above):
            return None
        after = int(above[0])
        if after == 0:
            return float(self.images[0])
        start, end = self.median[after - 1], self.median[after]
        part = (level - start) / (end - start)
        return float(self.images[after - 1] + part * (self.images[after] - self.images[after - 1]))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with the ends of its bootstrap interval of 95 %; None where there is one seed."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Price:
    """What a level costs.

    Attributes:
        level: of the median confidence.
        images: median over the seeds that reached it; None where fewer than half did.
        reached: how many seeds did.
    """

    level: float
    images: float | None
    reached: int


@dataclass(frozen=True)
class Arm:
    """One way to search.

    Attributes:
        name: of the arm.
        seeds: how many.
        median: over the grid, of the median confidence.
        log: over the grid, of the mean log probability.
        area: of `log` over images, divided by their number: a mean over the whole run, in nats.
        final_median: at the end of the grid.
        final_log: likewise.
        prices: of `LEVELS`.
    """

    name: str
    seeds: int
    median: tuple[Estimate, ...]
    log: tuple[Estimate, ...]
    area: Estimate
    final_median: Estimate
    final_log: Estimate
    prices: tuple[Price, ...]


@dataclass(frozen=True)
class Contrast:
    """Two arms, by their areas.

    Attributes:
        first: the name of one.
        second: of the other.
        difference: of the mean areas, first less second, in nats.
        p: of Welch's test, two-sided; None with fewer than two seeds.
        corrected: the same by Holm over all contrasts.
    """

    first: str
    second: str
    difference: float
    p: float | None
    corrected: float | None


@dataclass(frozen=True)
class Comparison:
    """Arms at equal images: `images`, the grid that curves are read at, and what came out."""

    images: tuple[float, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[Contrast, ...]


def compare(courses: Mapping[str, Sequence[Course]]) -> Comparison:
    """Compare arms, by their courses of at least one seed each, over the images that all of them saw."""
    everyone = [course for each in courses.values() for course in each]
    start, end = max(c.images[0] for c in everyone), min(c.images[-1] for c in everyone)
    grid = np.linspace(start, end, POINTS)
    areas = {name: np.array([_area(course, grid) for course in each]) for name, each in courses.items()}
    arms = tuple(_arm(name, each, grid, areas[name]) for name, each in courses.items())
    return Comparison(tuple(grid.tolist()), arms, _contrasts(areas))


def holm(ps: Sequence[float]) -> list[float]:
    """Correct p-values of several tests by Holm's step-down method (Scand. J. Statist. 6, 1979)."""
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(np.argsort(ps, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        corrected[place] = highest
    return corrected


def estimate(values: Floats) -> Estimate:
    """Return the mean of `values` (seeds,) with its interval, by percentiles of resampled means."""
    if len(values) < 2:
        return Estimate(float(values.mean()), None, None)
    # The same resamples for every number: what is compared must not differ by chance of the method.
    rows = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[rows].mean(1), [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def _area(course: Course, grid: Floats) -> float:
    heights = np.interp(grid, course.images, course.log)
    if grid[-1] == grid[0]:
        return float(heights[0])
    return float(np.trapezoid(heights, grid) / (grid[-1] - grid[0]))


def _welch(first: Floats, second: Floats) -> float:
    """Return the p-value of Welch's test; 1 where neither side varies, which it cannot judge."""
    from scipy.stats import ttest_ind_from_stats

    sides = [(float(side.mean()), float(side.std(ddof=1)), len(side)) for side in (first, second)]
    if not any(deviation for _, deviation, _ in sides):
        return 1.0
    return float(ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)


def _arm(name: str, courses: Sequence[Course], grid: Floats, areas: Floats) -> Arm:
    medians = np.stack([np.interp(grid, course.images, course.median) for course in courses])
    logs = np.stack([np.interp(grid, course.images, course.log) for course in courses])
    median, log = (tuple(map(estimate, curves.T)) for curves in (medians, logs))
    return Arm(
        name=name,
        seeds=len(courses),
        median=median,
        log=log,
        area=estimate(areas),
        final_median=median[-1],
        final_log=log[-1],
        prices=tuple(_price(level, courses) for level in LEVELS),
    )


def _price(level: float, courses: Sequence[Course]) -> Price:
    found = [course.reached(level) for course in courses]
    some = [images for images in found if images is not None]
    # The seeds that never reached it count as beyond all others.
    ordered = sorted(some) + [np.inf] * (len(found) - len(some))
    middle = float(np.median(ordered)) if 2 * len(some) > len(found) else np.inf
    return Price(level, middle if np.isfinite(middle) else None, len(some))


def _contrasts(areas: Mapping[str, Floats]) -> tuple[Contrast, ...]:
    pairs = list(combinations(areas, 2))
    testable = [pair for pair in pairs if all(len(areas[name]) > 1 for name in pair)]
    ps = [_welch(areas[a], areas[b]) for a, b in testable]
    found = dict(zip(testable, zip(ps, holm(ps), strict=True), strict=True))
    return tuple(
        Contrast(a, b, float(areas[a].mean() - areas[b].mean()), *found.get((a, b), (None, None)))
        for a, b in pairs
    )
