"""What is screened out could have won nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import islands
from islands.classifiers.contract import Prediction, log_odds
from islands.classifiers.registry import load_classifier
from islands.classifiers.screened import ScreenedClassifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.config import NetworkConfig
from islands.devices import deferred_checks
from islands.encodings.genomes import Genomes
from islands.errors import NetworkError
from islands.evolution.archive import Batch, winners
from islands.evolution.cells import CellLayout
from islands.evolution.fitness import TieBreak, fitness_of
from islands.evolution.screening import Referee, Rule, contenders
from tests.accelerator import count_reads, pretend

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
NOISE = torch.randint(256, (70, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def screened(**settings: Any) -> ScreenedClassifier:
    classifier = load_classifier("lenet-mnist", screen="bfloat16", device=CPU, **settings)
    assert isinstance(classifier, ScreenedClassifier)
    return classifier


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([0.1, 3.0, 30.0]),
    margin=st.sampled_from([0.01, 0.3, 2.0]),
    tie_break=st.sampled_from(["first", "margin"]),
    layout=st.builds(CellLayout, bins=st.integers(1, 3), places=st.integers(1, 3)),
)
def test_whoever_wins_is_a_contender(
    seed: int, scale: float, margin: float, tie_break: TieBreak, layout: CellLayout
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((6, 4), generator=generator) * scale
    logits[3] = logits[1]
    fitness = fitness_of(Prediction(logits.softmax(1), logits), tie_break)
    # Cells hold what other images scored, or nothing; one class is nobody's business.
    others = torch.randn((4, 4), generator=generator) * scale
    to_beat = fitness_of(Prediction(others.softmax(1), others), tie_break)[0]
    to_beat[0], to_beat[1] = -torch.inf, torch.inf
    errors = (torch.rand(logits.shape, generator=generator) * 2 - 1) * margin * 0.99
    bins = torch.randint(layout.bins, (6,), generator=generator) if layout.bins > 1 else None
    to_beat = to_beat.repeat_interleave(layout.bins)
    found = contenders(log_odds(logits) + errors, margin, Rule(tie_break, to_beat, bins, layout.places))
    for best, rows in winners(Batch(Genomes({}), fitness, fitness, {}, bins), layout):
        assert bool(found[rows[best > to_beat]].all())


def test_what_low_precision_cannot_tell_is_scored_again_and_beats_nobody() -> None:
    odds = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan], [-3.0, -3.0]])
    for tie_break, cell in (("first", 0.5), ("margin", 0.0)):
        found = contenders(odds, 0.1, Rule(tie_break, torch.full((2,), cell)))  # type: ignore[arg-type]
        assert found.tolist() == [True, True, False]


def test_a_full_cell_has_no_contenders() -> None:
    odds = torch.full((3, 2), 30.0)
    assert not contenders(odds, 1.0, Rule("first", torch.ones(2))).any()
    assert contenders(odds, 1.0, Rule("margin", torch.full((2,), 29.5))).all()


@pytest.mark.parametrize("tie_break", ["first", "margin"])
@pytest.mark.parametrize(("encoding", "count"), [("cppn", 1), ("direct", 2)])
def test_the_archive_is_that_of_float32(encoding: str, count: int, tie_break: TieBreak) -> None:
    """Bit for bit, claims between islands included."""
    found = [
        islands.evolve(
            {"name": "lenet-mnist", "batch_size": 20, "screen": screen},
            encoding=encoding,
            generations=20,
            evolve={"initial": 40, "children": 40, "generations_per_epoch": 2, "tie_break": tie_break},
            islands={"count": count},
        ).reader
        for screen in (None, "bfloat16")
    ]
    exact, screened = (run.elites(0) for run in found)
    np.testing.assert_array_equal(screened.ids, exact.ids)
    np.testing.assert_array_equal(screened.probabilities, exact.probabilities)
    assert found[1].evaluations(0) == found[0].evaluations(0)


def test_most_children_are_spared_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    rescored: list[int] = []
    original = ScreenedClassifier.rescore

    def counting(self: ScreenedClassifier, images: Tensor) -> Prediction:
        rescored.append(len(images))
        return original(self, images)

    monkeypatch.setattr(ScreenedClassifier, "rescore", counting)
    run = islands.evolve({"name": "lenet-mnist", "screen": "bfloat16"}, generations=50).reader
    assert sum(rescored) < run.evaluations(0) / 3


def test_exact_scores_depend_on_the_image_alone() -> None:
    classifier = screened(batch_size=16)
    scored = classifier.rescore(NOISE[:23])
    assert torch.equal(scored.logits, classifier.predict(NOISE[:32]).logits[:23])
    assert torch.equal(scored.logits[5], classifier.rescore(NOISE[5:6]).logits[0])
    assert torch.equal(scored.logits[7], classifier.rescore(NOISE[[60, 7, 61]]).logits[1])


def test_children_without_a_chance_are_told_from_those_with_a_score() -> None:
    classifier = screened()
    referee, to_beat = Referee(classifier, "first"), torch.full((10,), torch.inf)
    fitness, probabilities = referee.score(NOISE, to_beat)
    assert fitness.shape == probabilities.shape == (70, 10)
    assert bool((fitness == -torch.inf).all())
    to_beat[4] = -torch.inf
    fitness, probabilities = referee.score(NOISE, to_beat)
    exact = classifier.predict(NOISE).probabilities
    best = int(exact[:, 4].argmax())
    assert bool((fitness[:, 4] <= fitness[best, 4]).all())
    torch.testing.assert_close(probabilities[best], exact[best])
    assert bool((fitness == -torch.inf).any())


def test_where_nothing_is_read_there_is_room_for_as_many_as_the_epoch_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = screened(batch_size=4, engine="torch")
    images, nobody, anybody = NOISE[:10], torch.full((10,), torch.inf), torch.full((10,), -torch.inf)
    expected = Referee(classifier, "first").score(images, anybody)
    pretend(monkeypatch)
    referee = Referee(classifier, "first")

    def reads(to_beat: Tensor) -> int:
        return count_reads(monkeypatch, lambda: referee.score(images, to_beat))

    with deferred_checks():
        assert reads(anybody) == 0
        assert torch.equal(referee.score(images, anybody).fitness, expected.fitness)
        assert count_reads(monkeypatch, referee.settle) == 1
        referee.score(images, nobody)
        assert referee.settle()  # there was room for all, and now for one batch
        assert not torch.equal(referee.score(images, anybody).fitness, expected.fitness)
        assert not referee.settle()
        assert torch.equal(referee.score(images, anybody).fitness, expected.fitness)
        assert referee.settle()


class TestRefusals:
    def test_of_two_low_precisions(self) -> None:
        with pytest.raises(ValueError, match=r"set network\.precision to float32"):
            NetworkConfig(name="lenet-mnist", screen="bfloat16", precision="float16")

    def test_of_a_margin_without_a_screen(self) -> None:
        with pytest.raises(ValueError, match=r"screen_margin is 0\.5 without a screen"):
            NetworkConfig(name="lenet-mnist", screen_margin=0.5)

    @pytest.mark.parametrize(
        "name", ["label-only:lenet-mnist", "ensemble:lenet-mnist+label-only:lenet-mnist"]
    )
    def test_of_scores_that_have_no_precision(self, name: str) -> None:
        with pytest.raises(NetworkError, match=r"network\.screen: got it for label-only"):
            load_classifier(name, screen="bfloat16", device=CPU)


def test_a_screened_network_is_the_same_network() -> None:
    exact = load_classifier("lenet-mnist", device=CPU)
    assert isinstance(exact, TorchClassifier)
    assert screened().fingerprint == exact.fingerprint
    assert torch.equal(screened().predict(NOISE).logits, exact.predict(NOISE).logits)
