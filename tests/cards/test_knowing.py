"""A detector in the loop: what evolution sees of it, and what it is worth then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from islands.cards.detectors import mahalanobis
from islands.cards.knowing import Unnoticed, limit_of
from islands.cards.last_features import watched
from islands.cards.making import Evidence, make_card
from islands.cards.noticing import Known, Looks, learn
from islands.cards.settling import Wish
from islands.classifiers.registry import load_classifier
from islands.config import NetworkConfig
from islands.store.reader import StoreReader

pytestmark = pytest.mark.slow

Detector = tuple[Looks, Known, Unnoticed]


@pytest.fixture(scope="module")
def detector(made: Evidence) -> Iterator[Detector]:
    """What looks at LeNet, what detectors know of digits, and LeNet as an attacker sees it."""
    assert made.pictures is not None
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    with watched(classifier) as last:
        looks = Looks(classifier, last)
        known = learn(looks, made.pictures, {})
        assert known.fitted is not None
        yield looks, known, Unnoticed(last, known.fitted, limit_of(known))


def test_what_passes_keeps_its_confidence_and_what_does_not_loses_by_its_distance(
    made: Evidence, detector: Detector
) -> None:
    looks, known, unnoticed = detector
    assert made.pictures is not None
    noise = torch.randint(256, (50, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = torch.cat([made.pictures.images[:300], noise])
    seen, found = looks.at(images), unnoticed.predict(images)
    assert known.fitted is not None
    assert seen.features is not None
    assert known.fitted.means is not None
    assert known.fitted.precision is not None
    distances = -mahalanobis(seen.features, known.fitted.means, known.fitted.precision)
    left = np.minimum(1, limit_of(known) / distances)
    own = torch.from_numpy(seen.logits).softmax(1).numpy()
    expected = left[:, None] * own + (1 - left[:, None]) / 10
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-4)
    passes = distances <= limit_of(known)
    assert 0.9 < passes[:300].mean() < 0.99
    assert not passes[300:].any()
    np.testing.assert_allclose(found.probabilities[passes], own[passes], atol=2e-4)


def test_scores_of_an_image_are_its_own(made: Evidence, detector: Detector) -> None:
    assert made.pictures is not None
    _, _, unnoticed = detector
    images = made.pictures.images[:40]
    assert torch.equal(unnoticed.predict(images).logits, unnoticed.predict(images).logits)
    assert torch.allclose(unnoticed.predict(images[7:8]).logits, unnoticed.predict(images).logits[7:8])


def test_evolution_gets_past_a_detector_that_it_knows(made: Evidence) -> None:
    card = made.card
    assert [each.attack for each in card.in_the_loop] == ["patterns", "pixels"]
    for each in card.in_the_loop:
        assert each.blind.unnoticed.mean < 0.3
        assert each.blind.both.mean <= min(each.blind.sure.mean, each.blind.unnoticed.mean)
        assert each.aware.both.mean <= min(each.aware.sure.mean, each.aware.unnoticed.mean)
    patterns = card.in_the_loop[0]
    assert patterns.aware.unnoticed.mean > 0.5
    assert patterns.aware.both.mean > patterns.blind.both.mean


def test_its_stores_open_without_it(made: Evidence, folder: Path) -> None:
    for each in made.card.in_the_loop:
        reader = StoreReader(str(folder / each.name))
        assert reader.complete
        assert reader.config.network.name == "unnoticed:lenet-mnist"
        assert each.digests == (reader.digest(0), reader.digest(1))


def test_the_engine_is_all_the_same(made: Evidence, tmp_path: Path) -> None:
    """The detector looks at features, which torch computes whatever engine scores images else."""
    network = NetworkConfig(name="lenet-mnist", engine="torch")
    found = make_card(Wish(network, tmp_path / "card", runs=2, images=2000))
    assert found is not None
    assert found.card.network.engine != made.card.network.engine
    for one, another in zip(found.card.in_the_loop, made.card.in_the_loop, strict=True):
        assert one.digests == another.digests
