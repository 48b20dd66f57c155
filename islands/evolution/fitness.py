"""What insertion compares."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from islands.classifiers.contract import Prediction, log_odds

TieBreak = Literal["first", "margin"]


def fitness_of(prediction: Prediction, tie_break: TieBreak) -> Tensor:
    """Return the fitness (B, K) float32 of B images for every class.

    `first` is the paper's: the probability, which saturates at 1. `margin` is its log-odds, which order
    images alike but still tell them apart where float32 rounds the probability to 1.
    """
    return prediction.probabilities if tie_break == "first" else log_odds(prediction.logits)


def fitness_of_probabilities(probabilities: Tensor, tie_break: TieBreak) -> Tensor:
    """Return the same of images whose logits nobody knows: `margin` tells apart what float64 can."""
    if tie_break == "first":
        return probabilities.float()
    # At 0 and 1 the log-odds are those of the nearest number below 1, and so finite.
    return torch.logit(probabilities.double(), eps=torch.finfo(torch.float64).eps / 2).float()
