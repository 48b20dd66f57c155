"""Detectors of images that mean nothing: scores of logits and features. Pure functions on numpy arrays.

Each score is the higher the more real an image looks. Libraries differ in which side they call positive, so
what is told here is the share that is noticed when 5 % of the real pictures are rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Scores = npt.NDArray[np.float64]

REJECTED = 20
"""One in so many of the real pictures: 5 %."""

NEAREST = 5
"""The k of k nearest neighbours."""


class Seen(NamedTuple):
    """What a network makes of n images.

    Attributes:
        logits: (n, K).
        features: (n, F), what its last layer gets; None: not known.
    """

    logits: Floats
    features: Floats | None


class Fitted(NamedTuple):
    """What detectors learn from real pictures with their classes.

    Attributes:
        temperature: T.
        means: (C, F) of the features of each class that has pictures; None: no features are known.
        precision: (F, F), the inverse of the features' covariance about the means of their classes.
        features: (n, F) of length 1.
    """

    temperature: float
    means: Floats | None
    precision: Floats | None
    features: Floats | None


def max_softmax(logits: Floats) -> Scores:
    """Return the log-odds of the highest probability (Hendrycks and Gimpel, arXiv 1610.02136).

    They are in the order of the probabilities, of which float32 calls the surest alike.
    """
    wide = np.sort(logits.astype(np.float64), axis=1)
    return np.asarray(wide[:, -1] - _log_sum(wide[:, :-1]), np.float64)


def max_logit(logits: Floats) -> Scores:
    """Return the highest logit (Hendrycks et al., arXiv 1911.11132)."""
    return np.asarray(logits.max(1), np.float64)


def energy(logits: Floats) -> Scores:
    """Return the logarithm of the sum of the exponentials, the negative energy (Liu et al., 2010.03759)."""
    return _log_sum(logits.astype(np.float64))


def entropy(logits: Floats) -> Scores:
    """Return the negative entropy of the probabilities, in nats."""
    wide = logits.astype(np.float64)
    logs = wide - _log_sum(wide)[:, None]
    return np.asarray((np.exp(logs) * logs).sum(1), np.float64)


def fitted_temperature(logits: Floats, labels: npt.NDArray[np.integer]) -> float:
    """Return the T by which to divide logits (n, K) for the best likelihood of `labels`, from 0.05 to 20.

    Guo et al., arXiv 1706.04599.
    """
    from scipy.optimize import minimize_scalar

    wide = logits.astype(np.float64)
    own = wide[np.arange(len(wide)), labels]

    def loss(inverse: float) -> float:
        return float((_log_sum(inverse * wide) - inverse * own).mean())

    # The loss is convex in 1/T.
    return 1 / float(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x)


def fit(seen: Seen, labels: npt.NDArray[np.integer]) -> Fitted:
    """Learn what detectors need from real pictures and their classes (n,)."""
    temperature = fitted_temperature(seen.logits, labels)
    if seen.features is None:
        return Fitted(temperature, None, None, None)
    features = seen.features.astype(np.float64)
    classes, rows = np.unique(labels, return_inverse=True)
    means = np.stack([features[rows == row].mean(0) for row in range(len(classes))])
    about = features - means[rows]
    precision = np.linalg.pinv(about.T @ about / len(features), hermitian=True)
    return Fitted(temperature, means, precision, _of_length_1(features))


def mahalanobis(features: Floats, means: Floats, precision: Floats) -> Scores:
    """Return the negative squared distance to the nearest class mean (Lee et al., arXiv 1807.03888)."""
    wide = features.astype(np.float64)
    distances = []
    for mean in means:
        about = wide - mean
        distances.append(((about @ precision) * about).sum(1))
    return np.asarray(-np.min(distances, axis=0), np.float64)


def k_nearest(features: Floats, known: Floats) -> Scores:
    """Return the negative distance to the fifth nearest of `known`, of length 1 (Sun et al., 2204.06507)."""
    from sklearn.neighbors import NearestNeighbors

    # Where there are fewer, the farthest of them.
    count = min(NEAREST, len(known))
    near = NearestNeighbors(n_neighbors=count).fit(known)
    distances, _ = near.kneighbors(_of_length_1(features.astype(np.float64)))
    return np.asarray(-distances[:, -1], np.float64)


def all_scores(seen: Seen, fitted: Fitted | None) -> dict[str, Scores]:
    """Return what each detector says of n images: (n,) by its name in `NEEDS`; those that can be had."""
    of_logits: Mapping[str, Callable[[Floats], Scores]] = {
        "max-softmax": max_softmax,
        "max-logit": max_logit,
        "energy": energy,
        "entropy": entropy,
    }
    found = {name: score(seen.logits) for name, score in of_logits.items()}
    if fitted is None:
        return found
    found["temperature"] = max_softmax(seen.logits / fitted.temperature)
    if seen.features is None or fitted.means is None:
        return found
    assert fitted.precision is not None
    assert fitted.features is not None
    found["Mahalanobis"] = mahalanobis(seen.features, fitted.means, fitted.precision)
    found["k nearest"] = k_nearest(seen.features, fitted.features)
    return found


NEEDS = {
    "max-softmax": "probabilities",
    "max-logit": "logits",
    "energy": "logits",
    "entropy": "probabilities",
    "temperature": "logits, labelled pictures",
    "Mahalanobis": "features, labelled pictures",
    "k nearest": "features, pictures",
}
"""What each detector has to see."""


def threshold(real: Scores) -> float:
    """Return the score below which images are rejected, and at most 5 % of the real ones are."""
    return float(np.sort(real)[len(real) // REJECTED])


def noticed(scores: Scores, real: Scores) -> float:
    """Return the share of images that are rejected where at most 5 % of the real ones are."""
    return float((scores < threshold(real)).mean())


def auroc(scores: Scores, real: Scores) -> float:
    """Return the chance that a real picture scores higher than another image; a draw counts half."""
    from sklearn.metrics import roc_auc_score

    is_real = np.r_[np.ones(len(real)), np.zeros(len(scores))]
    return float(roc_auc_score(is_real, np.r_[real, scores]))


def _log_sum(wide: Floats) -> Scores:
    from scipy.special import logsumexp

    return np.asarray(logsumexp(wide, axis=1), np.float64)


def _of_length_1(features: Floats) -> Floats:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0, lengths, 1), np.float64)
