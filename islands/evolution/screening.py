"""Judgement a batch for insertion; with a screened classifier, only those children exactly that might win.

The log-odds of the replica are off by at most a margin, so each child has an interval of fitness for each
class. A child is scored again in float32 if for some class its interval reaches above the cell's fitness and
no other child's interval lies above it. All others can take no cell, and get fitness -inf. As long as no
log-odds are off by more than the margin, the archive is the one that float32 alone gives; what is stored is
float32 in any case.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Prediction, log_odds
from islands.classifiers.screened import ScreenedClassifier
from islands.evolution.fitness import TieBreak, fitness_of

_ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Relative difference that two ways to compute one probability may have."""


class Judgement(NamedTuple):
    """What insertion needs of B children: fitness (B, K) and probabilities (B, K), float32.

    Of children whose scores are not finite, fitness is -inf and probabilities are NaN.
    """

    fitness: Tensor
    probabilities: Tensor

    @property
    def finite(self) -> Tensor:
        """Whose scores are finite numbers, or were not needed: bool (B,)."""
        # One column tells: `judged` marks whole rows.
        return ~self.probabilities[:, 0].isnan()


def score(classifier: Classifier, images: Tensor, tie_break: TieBreak, to_beat: Tensor) -> Judgement:
    """Score children for insertion.

    Args:
        classifier: of K classes.
        images: uint8 (B, channels, H, W).
        tie_break: what fitness is.
        to_beat: (K,) fitness that a child must exceed to be of use; inf where none is.

    Returns:
        Judgement; of children that cannot win, fitness -inf and probabilities 0.
    """
    if not isinstance(classifier, ScreenedClassifier):
        return judged(classifier.predict(images), tie_break)
    odds = log_odds(classifier.screen(images).logits)
    rows = contenders(odds, classifier.margin, tie_break, to_beat).nonzero().squeeze(1)
    scores = Judgement(torch.full_like(odds, -torch.inf), torch.zeros_like(odds))
    if len(rows):
        for column, found in zip(scores, judged(classifier.rescore(images[rows]), tie_break), strict=True):
            column[rows] = found
    return scores


def judged(prediction: Prediction, tie_break: TieBreak) -> Judgement:
    """Return what a prediction means for insertion."""
    finite = prediction.finite[:, None]
    fitness = fitness_of(prediction, tie_break).where(finite, -torch.inf)
    return Judgement(fitness, prediction.probabilities.where(finite, torch.nan))


def contenders(odds: Tensor, margin: float, tie_break: TieBreak, to_beat: Tensor) -> Tensor:
    """Say which children might take a cell: bool (B,).

    Args:
        odds: (B, K) log-odds, each off by at most `margin`; NaN where they are not known.
        margin: above 0.
        tie_break: as in `score`.
        to_beat: as in `score`.
    """
    # What overflowed in low precision may be anything: it is scored again, and rules out nobody else.
    unknown = odds.isnan()
    lower, upper = (odds - margin).where(~unknown, -torch.inf), (odds + margin).where(~unknown, torch.inf)
    if tie_break == "first":
        lower = lower.sigmoid() * (1 - _ROUNDING)
        # No probability exceeds 1. Without the clamp, saturated children would seem to beat a cell at 1.
        upper = (upper.sigmoid() * (1 + _ROUNDING)).clamp(max=1)
    # Against the cell strictly, as in `Archive.insert`. Among children not: of equals the first wins, and
    # which are equal is not known yet.
    might_win = (upper > to_beat) & (upper >= lower.amax(0))
    return might_win.any(1)
