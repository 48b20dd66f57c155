"""What a detector is worth to whom it is known: evolution for images that it lets pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from islands.cards.card import Facing, InTheLoop
from islands.cards.detectors import Fitted, mahalanobis, threshold
from islands.cards.evolving import SAMPLE, Attack
from islands.cards.last_features import LastLayer
from islands.cards.noticing import Known, Looks, elite_images
from islands.cards.wrapped import OfFeatures
from islands.store.reader import StoreReader
from islands.transfers.learning import estimate

DETECTOR = "Mahalanobis"
"""That is joined to the fitness: among those that notice evolved images, it notices the most."""

SURE = 0.99
"""Confidence of the images that count."""


class Unnoticed(OfFeatures):
    """A network as it looks to an attacker who has to get past a detector as well.

    Of an image at the squared Mahalanobis distance d from the nearest class, where distances up to t pass,
    the share u = min(1, t / d) of each probability is left, and the rest is spread evenly over the K classes.
    So what passes has the network's own confidence, and of two images that do not, that nearer to passing
    counts for more at any distance: how rare a distance is among real pictures would say 0 of both.
    """

    def __init__(self, last: LastLayer, fitted: Fitted, limit: float) -> None:
        """Take what the detector learnt, with features, and the t up to which it lets images pass."""
        assert fitted.means is not None
        assert fitted.precision is not None
        # Nine digits: what the last ones are may depend on the library that found them.
        told = " ".join(f"{each:.9g}" for each in (limit, *fitted.means.mean(1)))
        super().__init__("unnoticed", last, told)
        values, vectors = np.linalg.eigh(fitted.precision)
        # Distances are those of the plane that this brings features to.
        self._to_plane = torch.from_numpy(vectors * np.sqrt(values.clip(0)))
        self._means = torch.from_numpy(fitted.means) @ self._to_plane
        self._limit = limit

    def _scores(self, features: Tensor, logits: Tensor) -> Tensor:
        distances = torch.cdist(features @ self._to_plane, self._means).amin(1).square()
        left = (self._limit / distances.clamp_min(self._limit)).to(logits)[:, None]
        return torch.logaddexp(logits.log_softmax(1) + left.log(), ((1 - left) / len(self.classes)).log())


def knowing(attacks: Iterable[Attack]) -> dict[Attack, Attack]:
    """Return each of these attacks that needs no gradients, and the same of one who knows the detector."""
    return {
        attack: attack.once_more("unnoticed", "detector known")
        for attack in attacks
        if attack.access == "black box"
    }


def in_the_loop(
    looks: Looks, known: Known, blind: tuple[Attack, StoreReader], aware: tuple[Attack, StoreReader]
) -> InTheLoop:
    """Return what came of an attack with the detector in the loop, beside the same attack without.

    Args:
        looks: of the network that was attacked.
        known: of real pictures; with features.
        blind: the attack that did not know the detector, and its store.
        aware: that which did.
    """
    reader = aware[1]
    classes = np.arange(len(reader.classes))
    if len(classes) > SAMPLE:
        classes = np.sort(np.random.default_rng(0).choice(classes, SAMPLE, replace=False))
    return InTheLoop(
        name=aware[0].name,
        attack=blind[0].title,
        detector=DETECTOR,
        images=reader.evaluations(0),
        classes=len(classes),
        sure=SURE,
        blind=_facing(looks, known, blind[1], classes.tolist()),
        aware=_facing(looks, known, reader, classes.tolist()),
        digests=tuple(reader.digest(run) for run in range(reader.runs)),
    )


def limit_of(known: Known) -> float:
    """Return the squared distance up to which the detector lets images pass."""
    return -threshold(known.real[DETECTOR])


def _facing(looks: Looks, known: Known, reader: StoreReader, classes: Sequence[int]) -> Facing:
    """Judge elites by the network as it is, whatever they were evolved for."""
    fitted = known.fitted
    assert fitted is not None
    assert fitted.means is not None
    assert fitted.precision is not None
    shares = []
    for run in range(reader.runs):
        seen = looks.at(elite_images(reader, run, classes))
        assert seen.features is not None
        probabilities = torch.from_numpy(seen.logits).softmax(1).numpy()
        sure = probabilities[np.arange(len(classes)), list(classes)] >= SURE
        passes = -mahalanobis(seen.features, fitted.means, fitted.precision) <= limit_of(known)
        shares.append((sure.mean(), passes.mean(), (sure & passes).mean()))
    estimates = [estimate(np.array(column)) for column in zip(*shares, strict=True)]
    return Facing(sure=estimates[0], unnoticed=estimates[1], both=estimates[2])
