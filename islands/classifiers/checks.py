"""What a classifier must keep to, checked before a run."""

from __future__ import annotations

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Prediction
from islands.errors import NetworkError

_TOLERANCE = 1e-3


def require_sound(classifier: Classifier, images: Tensor) -> Prediction:
    """Score images (B, channels, H, W) twice, and return the scores.

    Raises:
        NetworkError: the images do not fit, or the scores are no probabilities, not as many as the classes,
            not finite, or others the second time.
    """
    name, prediction = classifier.name, classifier.predict(images)
    probabilities, logits = prediction
    expected = (len(images), len(classifier.classes))
    if not probabilities.is_floating_point() or not logits.is_floating_point():
        raise NetworkError(f"{name}: got scores of type {probabilities.dtype}; expected float32")
    if probabilities.shape != expected or logits.shape != expected:
        raise NetworkError(
            f"{name}: got scores of shape {tuple(probabilities.shape)}; expected {expected}, one for each "
            "image and class: give as many class names as outputs"
        )
    if not (bool(probabilities.isfinite().all()) and bool(logits.isfinite().all())):
        raise NetworkError(
            f"{name}: got scores that are not finite; expected finite numbers: check its weights"
        )
    if not _sum_to_one(probabilities):
        worst = probabilities.sum(1)[(probabilities.sum(1) - 1).abs().argmax()].item()
        raise NetworkError(
            f"{name}: got probabilities that sum to {worst:.4g}; expected numbers in [0, 1] that sum to 1: "
            "if these are logits, return Prediction(logits.softmax(1), logits)"
        )
    if _sum_to_one(logits):
        raise NetworkError(
            f"{name}: got logits that are probabilities already; expected what the network gives before "
            "softmax: leave the softmax out, or return the logarithm"
        )
    if not torch.equal(classifier.predict(images).logits, logits):
        raise NetworkError(
            f"{name}: got other scores for the same images the second time; expected equal ones: the network "
            "keeps state or draws random numbers, so put it into evaluation mode"
        )
    return prediction


def _sum_to_one(scores: Tensor) -> bool:
    return bool((scores >= 0).all()) and bool(((scores.sum(1) - 1).abs() < _TOLERANCE).all())
