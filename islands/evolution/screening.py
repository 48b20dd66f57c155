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


class Rule(NamedTuple):
    """How children take cells.

    Attributes:
        tie_break: what fitness is.
        to_beat: (K * bins,) fitness that a child of a bin must exceed to be of use; inf where none is.
        bins: (B,) int64, the bin of each child; None where classes have but one.
        places: of each bin.
    """

    tie_break: TieBreak
    to_beat: Tensor
    bins: Tensor | None = None
    places: int = 1


def score(classifier: Classifier, images: Tensor, rule: Rule) -> Judgement:
    """Score children for insertion.

    Args:
        classifier: of K classes.
        images: uint8 (B, channels, H, W).
        rule: by which they are inserted.

    Returns:
        Judgement; of children that cannot win, fitness -inf and probabilities 0.
    """
    if not isinstance(classifier, ScreenedClassifier):
        return judged(classifier.predict(images), rule.tie_break)
    odds = log_odds(classifier.screen(images).logits)
    rows = contenders(odds, classifier.margin, rule).nonzero().squeeze(1)
    scores = Judgement(torch.full_like(odds, -torch.inf), torch.zeros_like(odds))
    if len(rows):
        rescored = judged(classifier.rescore(images[rows]), rule.tie_break)
        for column, found in zip(scores, rescored, strict=True):
            column[rows] = found
    return scores


def judged(prediction: Prediction, tie_break: TieBreak) -> Judgement:
    """Return what a prediction means for insertion."""
    finite = prediction.finite[:, None]
    fitness = fitness_of(prediction, tie_break).where(finite, -torch.inf)
    return Judgement(fitness, prediction.probabilities.where(finite, torch.nan))


def contenders(odds: Tensor, margin: float, rule: Rule) -> Tensor:
    """Say which children might take a cell: bool (B,).

    Args:
        odds: (B, K) log-odds, each off by at most `margin`; NaN where they are not known.
        margin: above 0.
        rule: as in `score`.
    """
    # What overflowed in low precision may be anything: it is scored again, and rules out nobody else.
    unknown = odds.isnan()
    lower, upper = (odds - margin).where(~unknown, -torch.inf), (odds + margin).where(~unknown, torch.inf)
    if rule.tie_break == "first":
        lower = lower.sigmoid() * (1 - _ROUNDING)
        # No probability exceeds 1. Without the clamp, saturated children would seem to beat a cell at 1.
        upper = (upper.sigmoid() * (1 + _ROUNDING)).clamp(max=1)
    if rule.bins is None:
        return _might_win(lower, upper, rule.to_beat, rule.places)
    found = torch.zeros(len(odds), dtype=torch.bool, device=odds.device)
    for number, to_beat in enumerate(rule.to_beat.view(odds.shape[1], -1).unbind(1)):
        rows = (rule.bins == number).nonzero().squeeze(1)
        found[rows] = _might_win(lower[rows], upper[rows], to_beat, rule.places)
    return found


def _might_win(lower: Tensor, upper: Tensor, to_beat: Tensor, places: int) -> Tensor:
    """Say which of n children of one bin might win, by the bounds (n, K) of their fitness: bool (n,)."""
    wins = upper > to_beat  # strictly, as in `Archive.insert`
    # Where there are more places a second best wins as well, and which children are copies is not known yet.
    if places == 1 and len(lower):
        # Among children not strictly: of equals the first wins, and which are equal is not known yet.
        wins &= upper >= lower.amax(0)
    return wins.any(1)
