"""What a network makes of images that are meant for certain classes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from islands.classifiers.contract import Prediction


class Outcomes(NamedTuple):
    """B images: see `islands.evolution.scores.Scores` for the columns."""

    target_probability: Tensor
    target_rank: Tensor
    top1: Tensor
    top1_probability: Tensor


def outcomes(prediction: Prediction, targets: Tensor) -> Outcomes:
    """Compare a prediction of B images with the classes (B,) int64 that they are meant for.

    Ranks follow the logits, which differ where float32 rounds probabilities to the same number; what is still
    equal ranks in class order, so that rank 1 and the first maximum are the same class. An image without
    finite scores is taken for nothing: probabilities 0, the last rank, and -1 for the class of rank 1.
    """
    finite = prediction.finite
    probabilities, logits = prediction.only(finite)
    own = logits.gather(1, targets[:, None])
    top1 = logits.argmax(1)
    earlier = (logits == own).cumsum(1).gather(1, targets[:, None])[:, 0]
    rank = (logits > own).sum(1) + earlier
    return Outcomes(
        target_probability=probabilities.gather(1, targets[:, None])[:, 0],
        target_rank=rank.where(finite, logits.shape[1]),
        top1=top1.where(finite, -1),
        top1_probability=probabilities.gather(1, top1[:, None])[:, 0],
    )
