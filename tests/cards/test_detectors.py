"""Detectors: recomputed by scikit-learn, checked against pytorch-ood, and on answers that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.covariance import EmpiricalCovariance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from islands.cards.detectors import (
    NEEDS,
    Seen,
    all_scores,
    auroc,
    energy,
    entropy,
    fit,
    fitted_temperature,
    max_logit,
    max_softmax,
    noticed,
)
from islands.cards.last_features import features_of, watched
from islands.cards.making import Evidence
from islands.cards.noticing import Looks, learn, notice
from islands.classifiers.registry import load_classifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.classifiers.torchvision_cpu import import_torchvision
from islands.errors import DataError, NetworkError

Floats = npt.NDArray[np.floating[Any]]


def clouds(n: int, seed: int, spread: float = 1.0, shift: float = 0.0) -> tuple[Seen, npt.NDArray[np.int64]]:
    """Features in three clouds, and logits of them; spread out and shifted as a whole."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 3, n)
    features = spread * (3 * np.eye(3, 6)[labels] + chance.normal(size=(n, 6))) + shift
    return Seen((features @ np.eye(6, 3)).astype(np.float32), features.astype(np.float32)), labels


KNOWN, LABELS = clouds(400, 0)
REAL, _ = clouds(300, 1)
OTHERS, _ = clouds(200, 2, 0.2, -1.0)


def test_scikit_learn_says_the_same_in_ten_lines() -> None:
    assert KNOWN.features is not None
    features = KNOWN.features.astype(np.float64)
    means = np.stack([features[each == LABELS].mean(0) for each in range(3)])
    spread = EmpiricalCovariance(assume_centered=True).fit(features - means[LABELS])
    near = NearestNeighbors(n_neighbors=5).fit(normalize(features))
    expected: dict[str, list[Floats]] = {"Mahalanobis": [], "k nearest": []}
    for seen in (REAL, OTHERS):
        assert seen.features is not None
        expected["Mahalanobis"].append(
            -np.min([spread.mahalanobis(seen.features - m) for m in means], axis=0)
        )
        expected["k nearest"].append(-near.kneighbors(normalize(seen.features))[0][:, -1])
    fitted = fit(KNOWN, LABELS)
    for name, parts in expected.items():
        for seen, scores in zip((REAL, OTHERS), parts, strict=True):
            np.testing.assert_allclose(all_scores(seen, fitted)[name], scores, rtol=1e-4, atol=1e-5)


def test_temperature_is_that_of_a_regression_on_the_margin() -> None:
    chance = np.random.default_rng(0)
    margin = chance.normal(size=4000) * 3
    labels = (chance.random(4000) < 1 / (1 + np.exp(-margin / 2.5))).astype(np.int64)
    logits = np.stack([np.zeros(4000), margin], 1)
    regression = LogisticRegression(C=1e9, fit_intercept=False).fit(margin[:, None], labels)
    assert fitted_temperature(logits, labels) == pytest.approx(1 / regression.coef_[0, 0], rel=1e-3)
    assert fitted_temperature(logits / 3, labels) == pytest.approx(
        fitted_temperature(logits, labels) / 3, rel=1e-3
    )


def test_pytorch_ood_says_the_same() -> None:
    import_torchvision()  # it is made to load first
    from pytorch_ood import detector as ood

    logits = torch.from_numpy(OTHERS.logits)
    for score, theirs in (
        (energy(OTHERS.logits), ood.EnergyBased(None).predict_logits(logits)),
        (max_logit(OTHERS.logits), ood.MaxLogit(None).predict_logits(logits)),
        (entropy(OTHERS.logits), ood.Entropy(None).predict_logits(logits)),
    ):
        np.testing.assert_allclose(score, -theirs.numpy(), rtol=1e-4, atol=1e-5)
    softmax = -ood.MaxSoftmax(None).predict_logits(logits).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-max_softmax(OTHERS.logits))), softmax, rtol=1e-5)
    assert KNOWN.features is not None
    assert OTHERS.features is not None
    known, labels, features = map(torch.from_numpy, (KNOWN.features, LABELS, OTHERS.features))
    ours = all_scores(OTHERS, fit(KNOWN, LABELS))
    far = ood.Mahalanobis(None).fit_features(known, labels).predict_features(features).numpy()
    # Theirs is half of it, and does not divide the covariance by the number of pictures.
    np.testing.assert_allclose(ours["Mahalanobis"] / (2 * len(known)), -far, rtol=1e-3)
    near = ood.KNN(None, k=5).fit_features(known, labels).predict_features(features).numpy()
    np.testing.assert_allclose(ours["k nearest"], -near, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**32), st.floats(-20, 20))
def test_what_is_added_to_all_logits_is_all_the_same_to_probabilities(seed: int, more: float) -> None:
    logits = np.random.default_rng(seed).normal(size=(7, 4)) * 5
    np.testing.assert_allclose(max_softmax(logits + more), max_softmax(logits), atol=1e-9)
    np.testing.assert_allclose(entropy(logits + more), entropy(logits), atol=1e-9)
    np.testing.assert_allclose(energy(logits + more), energy(logits) + more, atol=1e-9)


@given(st.lists(st.integers(-50, 50), min_size=20, max_size=400), st.lists(st.integers(-60, 60), min_size=1))
def test_noticed_is_what_a_naive_counter_finds(real: list[int], others: list[int]) -> None:
    scores, known = np.array(others, float), np.array(real, float)
    least = sorted(known)[len(known) // 20]
    assert noticed(scores, known) == np.mean([each < least for each in scores])
    assert noticed(known, known) <= 0.05
    pairs = [(a > b) + (a == b) / 2 for a in known for b in scores]
    assert auroc(scores, known) == pytest.approx(np.mean(pairs))


def test_noticed_is_what_a_roc_curve_shows() -> None:
    fitted = fit(KNOWN, LABELS)
    real, others = all_scores(REAL, fitted), all_scores(OTHERS, fitted)
    for name in NEEDS:
        is_real = np.r_[np.ones(300), np.zeros(200)]
        accepted, kept, _ = roc_curve(is_real, np.r_[real[name], others[name]], drop_intermediate=False)
        assert noticed(others[name], real[name]) == pytest.approx(
            1 - accepted[np.argmax(kept >= 0.95)], abs=1e-9
        )


def test_features_give_the_logits_by_the_last_layer(made: Evidence) -> None:
    classifier = made.classifier
    assert isinstance(classifier, TorchClassifier)
    assert made.pictures is not None
    images = made.pictures.images[:100]
    with watched(classifier) as layer:
        features = torch.from_numpy(features_of(layer, images))
    *_, last = [each for each in classifier.module.modules() if isinstance(each, torch.nn.Linear)]
    with torch.no_grad():
        expected = classifier.predict(images).logits
        assert torch.allclose(last(features), expected, atol=1e-3)


def test_a_network_without_layers_has_none() -> None:
    ensemble = load_classifier("ensemble:lenet-mnist+linear-mnist", device=torch.device("cpu"))
    with pytest.raises(NetworkError, match="no module of torch"), watched(ensemble):
        pass


def test_logits_do_not_tell_evolved_digits_and_features_do(made: Evidence) -> None:
    found = {(each.detector, each.images): each for each in made.card.noticed}
    assert {each.detector for each in made.card.noticed} == set(NEEDS)
    gradients = "pixels, by gradients"
    assert found["max-softmax", gradients].auroc.mean < 0.1
    assert found["max-softmax", gradients].noticed.mean == 0
    assert found["Mahalanobis", gradients].noticed.mean > 0.9
    assert found["energy", "patterns"].auroc.mean < 0.5
    assert found["energy", "random pixels"].auroc.mean > 0.8


@pytest.mark.parametrize("count", [199, 200, 399])
def test_detectors_say_how_many_pictures_they_need(made: Evidence, count: int) -> None:
    assert made.pictures is not None
    few = made.pictures._replace(images=made.pictures.images[:count], labels=made.pictures.labels[:count])
    missing: dict[str, str] = {}
    looks = Looks(made.classifier, None)
    if count < 200:
        with pytest.raises(DataError, match="there are 199 real pictures, and at least 200 are needed"):
            learn(looks, few, missing)
        return
    found = notice(looks, made.attacks, made.readers, learn(looks, few, missing))
    assert {each.detector for each in found} == {"max-softmax", "max-logit", "energy", "entropy"}
    assert "400 are needed" in missing["features"]
