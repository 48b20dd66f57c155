"""Images to fool, on networks whose answers are known and against models that count one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import islands
from islands.cards.evolving import improvements
from islands.cards.images_to_fool import (
    Improvements,
    first_reached,
    geometric_mean,
    images_to_half,
    profile,
    rho5,
    score,
)

Improvement = tuple[int, float, int]

IMPROVEMENTS = st.lists(
    st.tuples(st.integers(0, 4), st.floats(0, 1, width=32), st.integers(1, 300)), max_size=60
)
REACHED = st.lists(
    st.lists(st.one_of(st.integers(1, 500).map(float), st.just(np.inf)), min_size=5, max_size=5),
    min_size=1,
    max_size=6,
).map(np.array)


def columns(rows: list[Improvement]) -> Improvements:
    classes, confidences, images = zip(*rows, strict=True) if rows else ((), (), ())
    return Improvements(
        np.array(classes, np.int64), np.array(confidences, np.float32), np.array(images, np.int64)
    )


@given(IMPROVEMENTS, st.floats(0.0625, 1, width=32))
def test_first_reached_is_what_one_finds_who_looks_at_each(rows: list[Improvement], level: float) -> None:
    found = first_reached(columns(rows), 5, level)
    for class_ in range(5):
        there = [n for of, confidence, n in rows if of == class_ and confidence >= level]
        assert found[class_] == min(there, default=np.inf)


@given(IMPROVEMENTS, st.floats(0.0625, 1, width=32), st.floats(0.0625, 1, width=32))
def test_a_higher_level_is_never_reached_sooner(rows: list[Improvement], one: float, other: float) -> None:
    low, high = (first_reached(columns(rows), 5, level) for level in sorted((one, other)))
    assert (high >= low).all()


@given(REACHED, st.integers(1, 600))
def test_a_profile_counts_the_classes_that_are_there(reached: npt.NDArray[np.float64], n: int) -> None:
    found = profile(reached, np.array([n, n + 50]))
    assert found[:, 0].tolist() == [sum(each <= n for each in run) / len(run) for run in reached]
    assert (found[:, 1] >= found[:, 0]).all()


@given(REACHED)
def test_half_of_the_classes_are_there_then_and_not_before(reached: npt.NDArray[np.float64]) -> None:
    for run, half in zip(reached, images_to_half(reached), strict=True):
        if np.isfinite(half):
            assert (run <= half).mean() >= 0.5
        assert (run < half).mean() < 0.5


@given(REACHED)
def test_a_score_says_what_its_runs_do(reached: npt.NDArray[np.float64]) -> None:
    found = score(reached, 0.9, 500)
    halves = sorted(images_to_half(reached))
    middle = np.median(halves)
    assert found.n50 == (middle if np.isfinite(middle) else None)
    assert found.low == (halves[0] if np.isfinite(halves[0]) else None)
    assert found.high == (halves[-1] if np.isfinite(halves[-1]) else None)
    assert found.profile[-1] == pytest.approx(found.reached)
    assert 1 <= geometric_mean([reached], 500) <= 500


@given(REACHED, st.integers(0, 2**32))
def test_the_order_of_classes_and_runs_is_all_the_same(reached: npt.NDArray[np.float64], seed: int) -> None:
    mixed = np.random.default_rng(seed).permuted(reached, axis=1)[::-1]
    first, second = score(reached, 0.5, 500), score(mixed, 0.5, 500)
    assert (first.n50, first.low, first.high) == (second.n50, second.low, second.high)
    assert first.profile == pytest.approx(second.profile)
    assert geometric_mean([mixed], 500) == pytest.approx(geometric_mean([reached], 500))


def test_the_geometric_mean_is_that_of_the_capped_numbers() -> None:
    assert geometric_mean([np.array([[10.0, np.inf]]), np.array([[40.0, 1000.0]])], 250) == pytest.approx(
        (10 * 250 * 40 * 250) ** 0.25
    )


@given(st.lists(st.floats(0.0625, 0.9375), min_size=10, max_size=300))
def test_rho5_is_a_picture_below_which_there_are_at_most_5_percent(right: list[float]) -> None:
    found = rho5(np.array(right))
    assert found in right
    assert sum(each < found for each in right) <= 0.05 * len(right)


def test_too_few_pictures_have_no_rho5() -> None:
    assert rho5(np.full(9, 0.9)) is None


class Known:
    """A network of which the right answers are known, as an object of one's own."""

    channels, input_size, device = 1, 4, torch.device("cpu")

    def __init__(self, name: str, classes: int, divided_by: float = 1.0) -> None:
        self.name = self.fingerprint = f"{name} {divided_by}"
        self.classes = tuple(map(str, range(classes)))
        self._kind, self._divided_by = name, divided_by

    def predict(self, images: Tensor) -> islands.Prediction:
        logits = self._logits(images.float().flatten(1) / 255) / self._divided_by
        return islands.Prediction(logits.softmax(1), logits)

    def _logits(self, pixels: Tensor) -> Tensor:
        if self._kind == "constant":
            return torch.zeros(len(pixels), len(self.classes))
        bright = 20 * (pixels.mean(1) - 0.5)
        if self._kind == "garbage":  # the third class has all that is not nearly white or nearly black
            return torch.stack([-bright, bright, torch.full_like(bright, 60.0)], 1)
        return torch.stack([-bright, bright], 1)


def reached_by(network: Known, level: float, tmp_path: Path) -> npt.NDArray[np.float64]:
    run = islands.evolve(
        network,
        encoding="direct",
        generations=20,
        store=tmp_path / network.fingerprint,
        evolve={"initial": 20, "children": 10},
    )
    return first_reached(improvements(run.reader, 0), len(network.classes), level)


def test_a_constant_network_is_never_fooled(tmp_path: Path) -> None:
    constant = Known("constant", 4)
    assert np.isinf(reached_by(constant, 0.5, tmp_path)).all()
    assert (reached_by(Known("constant", 4, 2.0), 0.25, tmp_path) == 20).all()  # the random start counts


def test_a_linear_network_is_fooled_when_an_image_is_as_bright_as_the_level_asks(tmp_path: Path) -> None:
    network = Known("linear", 2)
    found = reached_by(network, 0.9, tmp_path)
    assert np.isfinite(found).all()
    run = islands.open(tmp_path / network.fingerprint)
    for class_, sign in ((0, -1), (1, 1)):
        rows = run.reader.history(0)
        then = rows["confidence"][rows["class"] == class_]
        assert (np.diff(then) > 0).all()
        brightness = run.image(class_).mean() / 255
        assert run.confidence[0, class_] == pytest.approx(
            1 / (1 + np.exp(-sign * 40 * (brightness - 0.5))), abs=1e-5
        )


def test_a_garbage_class_keeps_the_others_from_being_reached(tmp_path: Path) -> None:
    found = reached_by(Known("garbage", 3), 0.5, tmp_path)
    assert np.isinf(found[:2]).all()
    assert found[2] == 20


def test_rho5_does_not_fall_for_divided_logits_and_a_fixed_level_does(tmp_path: Path) -> None:
    pictures = torch.arange(0, 256, 2, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)
    own, fixed = [], []
    for network in (Known("linear", 2), Known("linear", 2, 3.0)):
        right = network.predict(pictures).probabilities.amax(1).numpy()
        level = rho5(right)
        assert level is not None
        own.append(reached_by(network, level, tmp_path).tolist())
        again = tmp_path / "again"
        fixed.append(reached_by(network, 0.99, again).tolist())
    assert own[0] == own[1]
    assert fixed[0] != fixed[1]
