"""Whether evolved images can be told from real pictures: detectors on the elites of each attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from islands.cards.card import Noticed
from islands.cards.detectors import NEEDS, Fitted, Scores, Seen, all_scores, auroc, fit, noticed
from islands.cards.evolving import SAMPLE, Attack
from islands.cards.last_features import LastLayer, features_of
from islands.cards.real_level import Pictures, halves, logits_of
from islands.classifiers.contract import Classifier
from islands.errors import DataError
from islands.store.images import render_all, stored_encoding
from islands.store.reader import StoreReader
from islands.transfers.learning import estimate

LEAST_REAL = 200
"""Real pictures without which there is no quantile of 5 % to speak of."""

_SURE = 0.5
"""Confidence of the elites that are looked at: what the network does not believe in needs no detector."""


class Looks:
    """Asks a network what it makes of images; for features as well, where it has some."""

    def __init__(self, classifier: Classifier, last: LastLayer | None) -> None:
        self.classifier, self.last = classifier, last

    def at(self, images: Tensor) -> Seen:
        """Return what the network makes of uint8 images (n, channels, H, W)."""
        features = None if self.last is None else features_of(self.last, images)
        return Seen(logits_of(self.classifier, images), features)


class Known(NamedTuple):
    """What detectors know of real pictures.

    Attributes:
        fitted: what they learnt from some; None: there were too few.
        real: scores of others by detector.
    """

    fitted: Fitted | None
    real: Mapping[str, Scores]


def learn(looks: Looks, pictures: Pictures, missing: dict[str, str]) -> Known:
    """Return what detectors know of real pictures.

    Where there are twice as many as are needed, half of them teach the detectors that have to learn, and the
    other half are looked at.

    Args:
        looks: of the network.
        pictures: real ones.
        missing: takes why some detectors are not there.

    Raises:
        DataError: there are too few real pictures.
    """
    count = len(pictures.labels)
    if count < LEAST_REAL:
        raise DataError(
            f"there are {count} real pictures, and at least {LEAST_REAL} are needed to say which are the "
            f"5 % that look least real, {2 * LEAST_REAL} for detectors that learn; give more with --pictures"
        )
    if count < 2 * LEAST_REAL:
        missing["features"] = (
            f"of {count} real pictures none are left to learn from: {2 * LEAST_REAL} are needed"
        )
        return Known(None, all_scores(looks.at(pictures.images), None))
    taught, looked_at = halves(pictures)
    fitted = fit(looks.at(taught.images), taught.labels)
    return Known(fitted, all_scores(looks.at(looked_at.images), fitted))


def notice(
    looks: Looks, attacks: Sequence[Attack], readers: Sequence[StoreReader], known: Known
) -> tuple[Noticed, ...]:
    """Return what each detector notices of each attack's elites, and of random images.

    Args:
        looks: of the network that was attacked.
        attacks: on it.
        readers: their stores.
        known: of real pictures.
    """
    groups = []
    for attack, reader in zip(attacks, readers, strict=True):
        found = [elites(reader, run) for run in range(reader.runs)]
        if runs := [looks.at(images) for images in found if images is not None]:
            groups.append((attack.title, runs))
    groups += [
        (f"random {attack.title}", [looks.at(random_pictures(reader))])
        for attack, reader in zip(attacks, readers, strict=True)
        if attack.access == "black box"
    ]
    return tuple(
        _noticed(detector, images, runs, known.fitted, real)
        for detector, real in known.real.items()
        for images, runs in groups
    )


def _noticed(
    detector: str, images: str, runs: Sequence[Seen], fitted: Fitted | None, real: Scores
) -> Noticed:
    scores = [all_scores(run, fitted)[detector] for run in runs]
    return Noticed(
        detector=detector,
        needs=NEEDS[detector],
        images=images,
        n=sum(map(len, scores)),
        real=len(real),
        noticed=estimate(np.array([noticed(each, real) for each in scores])),
        auroc=estimate(np.array([auroc(each, real) for each in scores])),
    )


def elites(reader: StoreReader, run: int) -> Tensor | None:
    """Return elites that the network is sure of; None: there are none."""
    ids = reader.elite_columns(run, "id")["id"]
    sure = np.greater_equal(reader.confidence(run), _SURE)
    filled = np.flatnonzero(np.greater_equal(ids, 0) & sure)
    if len(filled) > SAMPLE:
        filled = np.sort(np.random.default_rng(run).choice(filled, SAMPLE, replace=False))
    if not len(filled):
        return None
    return elite_images(reader, run, filled.tolist())


def elite_images(reader: StoreReader, run: int, classes: Sequence[int]) -> Tensor:
    """Return the elites of some classes of a run: uint8 (n, channels, H, W)."""
    pictures = render_all(reader, run, list(classes))
    return torch.stack([torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures])


def random_pictures(reader: StoreReader) -> Tensor:
    """Return random images of a run's encoding: uint8 (n, channels, H, W)."""
    encoding = stored_encoding(reader)
    genomes = encoding.random(SAMPLE, torch.Generator().manual_seed(reader.config.seed))
    with torch.inference_mode():
        return encoding.render(genomes).clone()
