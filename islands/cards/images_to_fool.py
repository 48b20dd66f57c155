"""Images to fool: the score of the protocol `islands-card/1`. Pure functions on numpy arrays.

N(c, t) is how many images had been judged when class c first reached confidence t in a run, infinite where
that did not happen within the budget. Runtimes to targets are what COCO reports of optimizers (Hansen et al.,
arXiv 1605.03560); half of the classes, as a median is no mean, need no guess at what was not reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

LEVELS = (0.5, 0.9, 0.99)
"""Confidences that every card has; the fourth, rho5, is each network's own."""

LEAST_SURE = 0.05
"""Of the real pictures that a network sees right, the share that it may be less sure of than rho5."""

LEAST_RIGHT = 10
"""Real pictures seen right below which there is no rho5."""

POINTS = 48
"""Of a profile as it is drawn."""


class Improvements(NamedTuple):
    """What took a cell in one run, in any order."""

    classes: Ints
    """(n,) that each is of, counted from 0."""
    confidences: Floats
    """(n,) of the class, 0 to 1."""
    images: Ints
    """(n,) how many had been judged by then; a gradient step counts 3 beside its own."""


@dataclass(frozen=True)
class Score:
    """What R runs of at most `budget` images say about one confidence.

    Attributes:
        confidence: t, above 0 and at most 1.
        budget: images of each run.
        n50: median over the runs of the images after which half of the classes are there; None: more than
            the budget.
        low: the same of the quickest run; None: no run.
        high: of the slowest; None: not every run.
        reached: F(budget, t), the mean over the runs of the share of classes that are there in the end.
        images: the grid of the profile.
        profile: F(n, t) at each of `images`, the mean over the runs.
        profile_low: of the lowest run.
        profile_high: of the highest.
    """

    confidence: float
    budget: int
    n50: float | None
    low: float | None
    high: float | None
    reached: float
    images: tuple[int, ...]
    profile: tuple[float, ...]
    profile_low: tuple[float, ...]
    profile_high: tuple[float, ...]


def first_reached(improvements: Improvements, class_count: int, confidence: float) -> npt.NDArray[np.float64]:
    """Return N(c, t) of one run for its K classes at the confidence t: (K,), infinite where it never was.

    Example:
        >>> run = Improvements(np.array([0, 0, 1]), np.array([0.4, 0.9, 0.2]), np.array([10, 30, 10]))
        >>> first_reached(run, 2, 0.5)
        array([30., inf])
    """
    found = np.full(class_count, np.inf)
    # Stored confidences are float32: a level that was reached exactly must not be missed by a rounding.
    there = improvements.confidences >= np.float32(confidence)
    np.minimum.at(found, improvements.classes[there], improvements.images[there].astype(np.float64))
    return found


def profile(reached: Floats, images: Ints) -> npt.NDArray[np.float64]:
    """Return F(n): the share of classes (..., K) that were reached within each of `images` (m,): (..., m)."""
    return np.asarray((reached[..., None, :] <= np.asarray(images)[:, None]).mean(-1), np.float64)


def images_to_half(reached: Floats) -> npt.NDArray[np.float64]:
    """Return the images after which at least half of the classes (..., K) are there; infinite: never."""
    half = (reached.shape[-1] + 1) // 2
    return np.asarray(np.sort(reached, axis=-1)[..., half - 1], np.float64)


def score(reached: Floats, confidence: float, budget: int) -> Score:
    """Return the score of R runs.

    Args:
        reached: N (R, K) of each run and class, infinite where it was not reached.
        confidence: t that it is of.
        budget: images of each run.
    """
    halves = images_to_half(reached)
    grid = np.unique(np.geomspace(min(50, budget), budget, POINTS).round().astype(np.int64))
    shares = profile(reached, grid)
    return Score(
        confidence=confidence,
        budget=budget,
        n50=_finite(np.median(halves)),
        low=_finite(halves.min()),
        high=_finite(halves.max()),
        reached=float(np.isfinite(reached).mean()),
        images=tuple(grid.tolist()),
        profile=tuple(shares.mean(0).tolist()),
        profile_low=tuple(shares.min(0).tolist()),
        profile_high=tuple(shares.max(0).tolist()),
    )


def geometric_mean(reached: Sequence[Floats], budget: int) -> float:
    """Return G, the geometric mean of min(N, budget) over runs, classes and levels: for sorting alone.

    It is less noisy than N50, and hides what was not reached.

    Args:
        reached: N (R, K) at each level.
        budget: images of each run.
    """
    return float(np.exp(np.log(np.minimum(np.stack(reached), budget)).mean()))


def rho5(right: Floats) -> float | None:
    """Return the 5 % quantile of the confidences (n,) that a network has on pictures that it sees right.

    It is one of these confidences, the lower where it lies between two: so it goes along with whatever keeps
    their order, such as a division of all logits in a network of two classes. None: fewer than 10 pictures.
    """
    if len(right) < LEAST_RIGHT:
        return None
    return float(np.quantile(right, LEAST_SURE, method="lower"))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
