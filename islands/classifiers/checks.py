"""What a classifier must keep to, checked before a run."""

from __future__ import annotations

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.finite import require_finite
from islands.classifiers.network_classifier import NotFinite
from islands.errors import NetworkError
from islands.extensions.foreign import told

_TOLERANCE = 1e-3
_NEIGHBOURS = 0.01
"""More than rounding in any precision."""


def attempt(classifier: Classifier, images: Tensor) -> Prediction:
    """Score images (B, channels, H, W) with a network that may be broken.

    Raises:
        NetworkError: it is; whatever it raised is told in one line.
    """
    try:
        with told(
            f"{classifier.name}: failed on {len(images)} images {tuple(images.shape[1:])} with",
            "expected scores: call it in Python to see where",
            NetworkError,
        ):
            return classifier.predict(images)
    except torch.OutOfMemoryError as error:
        raise NetworkError(
            f"{classifier.name}: got {len(images)} images that do not fit into the memory of "
            f"{classifier.device}; lower network.batch_size, or the number of workers that share the device"
        ) from error


def require_sound(classifier: Classifier, images: Tensor, not_finite: NotFinite | None = None) -> Prediction:
    """Score images (B, channels, H, W) twice, and each alone; return the scores.

    With `not_finite` skip, images without finite scores are let pass, unless all are such.

    Raises:
        NetworkError: the images do not fit, the network fails on them, or the scores are no probabilities,
            not as many as the classes, not finite, or others the second time or without the other images.
    """
    name, prediction = classifier.name, attempt(classifier, images)
    probabilities, logits = prediction
    expected = (len(images), len(classifier.classes))
    if not probabilities.is_floating_point() or not logits.is_floating_point():
        raise NetworkError(f"{name}: got scores of type {probabilities.dtype}; expected float32")
    if probabilities.shape != expected or logits.shape != expected:
        raise NetworkError(
            f"{name}: got scores of shape {tuple(probabilities.shape)}; expected {expected}, one for each "
            "image and class: give as many class names as outputs"
        )
    finite = prediction.finite
    if not_finite != "skip" or not bool(finite.any()):
        require_finite(name, images, finite)
    totals = probabilities[finite].sum(1)
    if not _sum_to_one(probabilities[finite]):
        worst = totals[(totals - 1).abs().argmax()].item()
        raise NetworkError(
            f"{name}: got probabilities that sum to {worst:.4g}; expected numbers in [0, 1] that sum to 1: "
            "if these are logits, return Prediction(logits.softmax(1), logits)"
        )
    if _sum_to_one(logits[finite]):
        raise NetworkError(
            f"{name}: got logits that are probabilities already; expected what the network gives before "
            "softmax: leave the softmax out, or return the logarithm"
        )
    # NaN, the mark of a skipped image, does not equal itself.
    if not torch.equal(attempt(classifier, images).logits.nan_to_num(), logits.nan_to_num()):
        raise NetworkError(
            f"{name}: got other scores for the same images the second time; expected equal ones: the network "
            "keeps state or draws random numbers, so put it into evaluation mode"
        )
    # A network left in training mode may pass for repeatable: it has seen the same batch twice.
    alone = torch.cat([attempt(classifier, image[None]).probabilities for image in images])
    if (change := (alone - probabilities)[finite].abs().max().item()) > _NEIGHBOURS:
        raise NetworkError(
            f"{name}: got probabilities that change by {change:.2g} with the other images of the batch; "
            "expected none to matter: the network looks at its neighbours, as batch norm in training does"
        )
    return prediction


def _sum_to_one(scores: Tensor) -> bool:
    return bool((scores >= 0).all()) and bool(((scores.sum(1) - 1).abs() < _TOLERANCE).all())
