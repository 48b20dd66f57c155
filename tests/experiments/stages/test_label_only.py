"""Attacks that see labels alone: every query is counted, and no confidence leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from islands.classifiers.combinators import LabelOnly, Stability
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier
from islands.config import RunConfig
from islands.encodings.factory import build_encoding
from islands.errors import ConfigError
from islands.evolution.streams import variation_stream
from islands.experiments.parameters import LabelOnlyParameters
from islands.experiments.stages.label_only import (
    STAGE,
    Attack,
    Counted,
    attacks,
    by_chance,
    by_stability,
    by_surrogate,
    require_possible,
    success_of,
)
from tests.experiments.experiments import items, run, run_cut_off, tiny

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SETTINGS = LabelOnlyParameters(
    queries=1000,
    repeats=2,
    batch=20,
    surrogates=["linear-mnist"],
    surrogate_images=4,
    surrogate_iterations=20,
)


@pytest.fixture(scope="module")
def lenet() -> Classifier:
    return load_classifier("lenet-mnist", device=CPU)


def config(store: Path) -> RunConfig:
    return tiny(
        "label_only",
        store,
        network={"name": "lenet-mnist"},
        encoding={"name": "cppn"},
        parameters=SETTINGS.model_dump(),
    )


class Watched(LabelOnly):
    """Notes what the attacker is told."""

    def __init__(self, member: Classifier) -> None:
        super().__init__(member)
        self.asked: list[int] = []

    def predict(self, images: Tensor) -> Prediction:
        told = super().predict(images)
        assert set(told.probabilities.unique().tolist()) <= {0.0, 1.0}
        self.asked.append(len(images))
        return told


def test_chance_keeps_the_first_image_of_each_label(lenet: Classifier, tmp_path: Path) -> None:
    target, settings = Counted(Watched(lenet)), config(tmp_path)
    rounds = list(by_chance(target, settings, SETTINGS))
    assert (len(rounds), target.queries) == (50, 1000)
    encoding = build_encoding(settings.encoding, 1, 28)
    expected: dict[int, Tensor] = {}
    for generation in range(50):
        stream = variation_stream(CPU, settings.seed, 0, 0, generation)
        for image in encoding.render(encoding.random(20, stream)):
            label = int(lenet.predict(image[None]).probabilities.argmax())
            expected.setdefault(label, image)
    assert rounds[-1].keys() == expected.keys()
    assert all(torch.equal(rounds[-1][label], image) for label, image in expected.items())


def test_stability_is_the_share_of_perturbed_copies_that_keep_the_label(lenet: Classifier) -> None:
    watched = Watched(lenet)
    images = torch.randint(256, (3, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    stability = Stability(watched)
    found = stability.predict(images)
    assert watched.asked == [3] * Stability.COPIES
    generator = torch.Generator().manual_seed(0)
    limit = Stability.SHIFT
    shifts = torch.randint(-limit, limit + 1, (Stability.COPIES, 2), generator=generator).tolist()
    noise = torch.randn((Stability.COPIES, 1, 28, 28), generator=generator) * Stability.NOISE
    for image, row in zip(images, found.probabilities, strict=True):
        votes = np.zeros(10)
        for (down, right), grain in zip(shifts, noise, strict=True):
            moved = np.roll(image.numpy().astype(float), (down, right), (1, 2))
            copy = torch.from_numpy(np.clip(np.round(moved + grain.numpy()), 0, 255).astype(np.uint8))
            votes[int(lenet.predict(copy[None]).logits.argmax())] += 1
        np.testing.assert_allclose(row.numpy(), votes / Stability.COPIES, atol=1e-6)


def test_evolution_on_stability_asks_as_often_as_it_may(lenet: Classifier, tmp_path: Path) -> None:
    watched = Watched(lenet)
    target = Counted(watched)
    rounds = list(by_stability(target, config(tmp_path), SETTINGS))
    assert len(rounds) == 1000 // (20 * (Stability.COPIES + 1))
    # The elites of 20 images are asked about themselves as well.
    asked = target.queries - len(rounds) * 20 * Stability.COPIES
    assert 0 < asked <= len(rounds) * 20
    assert target.queries == sum(watched.asked) <= 1000


def test_what_evolution_on_stability_shows_has_the_label_itself(lenet: Classifier, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"queries": 1000, "batch": 47})
    *_, last = by_stability(Counted(LabelOnly(lenet)), config(tmp_path), settings)
    assert last
    for class_, image in last.items():
        assert int(lenet.predict(image[None]).logits.argmax()) == class_
    curve = success_of(by_stability, lenet, config(tmp_path), settings)
    assert curve["named"][-1] == len(last) / 10
    assert curve["named"] == sorted(curve["named"])


@pytest.mark.parametrize(("queries", "batch"), [(21, 20), (50, 1), (50, 20), (50, 100)])
@pytest.mark.parametrize("attack", [by_chance, by_stability])
def test_few_questions_are_asked_as_far_as_they_go(
    lenet: Classifier, tmp_path: Path, attack: Attack, batch: int, queries: int
) -> None:
    settings = SETTINGS.model_copy(update={"queries": queries, "batch": batch})
    asked = success_of(attack, lenet, config(tmp_path), settings)["queries"][-1]
    spare = 0 if attack is by_chance else min(batch, queries // 21) * 21
    assert queries - spare <= asked <= queries


def test_attacks_that_cannot_be_are_refused_by_name(lenet: Classifier) -> None:
    require_possible(lenet, SETTINGS)
    with pytest.raises(ConfigError, match=r"parameters\.queries: got 20; expected 21 or more"):
        require_possible(lenet, SETTINGS.model_copy(update={"queries": 20}))
    other = Counted(lenet)
    other.classes = ("a", "b")
    with pytest.raises(ConfigError, match=r"parameters\.surrogates: linear-mnist has other classes"):
        require_possible(other, SETTINGS)


def test_a_surrogates_images_are_tried_once_for_each_class_that_is_missing(
    lenet: Classifier, tmp_path: Path
) -> None:
    watched = Watched(lenet)
    target = Counted(watched)
    found: list[int] = []
    for each in by_surrogate("linear-mnist", target, config(tmp_path), SETTINGS):
        found.append(len(each))
        for class_, image in each.items():
            assert int(lenet.predict(image[None]).logits.argmax()) == class_
    assert watched.asked == [10, *(10 - count for count in found[:-1])]
    assert target.queries == sum(watched.asked)
    assert len(found) == 4 or found[-1] == 10


def test_success_is_judged_by_the_confidence_that_no_attack_saw(lenet: Classifier, tmp_path: Path) -> None:
    curve = success_of(by_chance, lenet, config(tmp_path), SETTINGS)
    assert curve["queries"] == list(range(20, 1001, 20))
    assert curve["named"] == sorted(curve["named"])
    images = list(by_chance(Counted(LabelOnly(lenet)), config(tmp_path), SETTINGS))[-1]
    confidence = [float(lenet.predict(image[None]).probabilities[0, c]) for c, image in images.items()]
    assert curve["fooled"][-1] == pytest.approx(sum(each >= 0.99 for each in confidence) / 10)
    everything = np.sort([*confidence, *[0.0] * (10 - len(confidence))])
    assert curve["median"][-1] == pytest.approx(float(np.median(everything)), abs=1e-5)


def test_an_experiment_that_is_cut_off_goes_on_to_the_same_results(tmp_path: Path) -> None:
    whole, cut = config(tmp_path / "whole"), config(tmp_path / "cut")
    run(whole)
    run_cut_off(cut, "label only: stability, attempt 1")
    found = items(whole, STAGE)
    assert set(found) == {f"{name} {repeat}" for name in attacks(SETTINGS) for repeat in range(2)}
    assert items(cut, STAGE) == found
    assert found["stability 0"]["median"] != found["stability 1"]["median"]
