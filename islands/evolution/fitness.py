"""What insertion compares."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from islands.classifiers.contract import Prediction

TieBreak = Literal["first", "margin"]


def fitness_of(prediction: Prediction, tie_break: TieBreak) -> Tensor:
    """Return the fitness (B, K) float32 of B images for every class.

    `first` is the paper's: the probability, which saturates at 1. `margin` is its log-odds, which order
    images alike but still tell them apart where float32 rounds the probability to 1.
    """
    return prediction.probabilities if tie_break == "first" else log_odds(prediction.logits)


def log_odds(logits: Tensor) -> Tensor:
    """Return log(p / (1 - p)) for the softmax p of `logits` (B, K), without cancellation near p = 1."""
    total = logits.logsumexp(1, keepdim=True)
    others = total + torch.log1p(-(logits - total).exp())
    # For the top class 1 - p may cancel to nothing: sum over the rest instead.
    top = logits.argmax(1, keepdim=True)
    rest = logits.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    return logits - others.scatter(1, top, rest)
