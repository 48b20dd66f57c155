"""Scores a batch for insertion; with a screened classifier, only those children exactly that might win.

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

from islands.classifiers.contract import Classifier
from islands.classifiers.screened import ScreenedClassifier
from islands.evolution.fitness import TieBreak, fitness_of, log_odds

_ROUNDING = 4 * torch.finfo(torch.float32).eps
"""Relative difference that two ways to compute one probability may have."""


class Scores(NamedTuple):
    """What insertion needs of B children: fitness (B, K) and probabilities (B, K), float32."""

    fitness: Tensor
    probabilities: Tensor


def score(classifier: Classifier, images: Tensor, tie_break: TieBreak, to_beat: Tensor) -> Scores:
    """Score children for insertion.

    Args:
        classifier: of K classes.
        images: uint8 (B, channels, H, W).
        tie_break: what fitness is.
        to_beat: (K,) fitness that a child must exceed to be of use; inf where none is.

    Returns:
        Scores; of children that cannot win, fitness -inf and probabilities 0.
    """
    if not isinstance(classifier, ScreenedClassifier):
        prediction = classifier.predict(images)
        return Scores(fitness_of(prediction, tie_break), prediction.probabilities)
    odds = log_odds(classifier.screen(images).logits)
    rows = contenders(odds, classifier.margin, tie_break, to_beat).nonzero().squeeze(1)
    scores = Scores(torch.full_like(odds, -torch.inf), torch.zeros_like(odds))
    if len(rows):
        prediction = classifier.rescore(images[rows])
        scores.fitness[rows] = fitness_of(prediction, tie_break)
        scores.probabilities[rows] = prediction.probabilities
    return scores


def contenders(odds: Tensor, margin: float, tie_break: TieBreak, to_beat: Tensor) -> Tensor:
    """Say which children might take a cell: bool (B,).

    Args:
        odds: (B, K) log-odds, each off by at most `margin`.
        margin: above 0.
        tie_break: as in `score`.
        to_beat: as in `score`.
    """
    lower, upper = odds - margin, odds + margin
    if tie_break == "first":
        lower = lower.sigmoid() * (1 - _ROUNDING)
        upper = (upper.sigmoid() * (1 + _ROUNDING)).clamp(max=1)
    might_win = (upper > to_beat) & (upper >= lower.amax(0))
    return might_win.any(1)
