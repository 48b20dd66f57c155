"""Islands on an accelerator: shapes follow from bounds, nothing is read, and all else is as on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import islands.archipelago.island as island_module
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import IslandHost, build_host, repeatable_gradients
from islands.archipelago.island import Island
from islands.archipelago.messages import Inbox, IslandKey
from islands.classifiers.combinators import Ensemble
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.screened import ScreenedClassifier
from islands.config import WorkConfig
from islands.devices import deferred_checks, enough_memory, require
from islands.encodings import cppn, draws
from islands.encodings.canvas import Canvas
from islands.encodings.factory import build_encoding
from islands.encodings.genomes import Genomes
from islands.encodings.programs import programs_of
from islands.errors import NetworkError
from islands.evolution.ascent import gradients
from islands.search.presets import settings_of
from tests.accelerator import no_copies, pretend
from tests.archipelago.conftest import digest, evolve, in_process, parts, recording_host, small_config

ENCODINGS: list[dict[str, Any]] = [
    {"name": "cppn"},
    {"name": "direct"},
    {"name": "direct", "variant": "released-code"},
]


@pytest.fixture(autouse=True)
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_half_the_budget_and_then_the_rest_equals_all_at_once(encoding: dict[str, Any]) -> None:
    whole = small_config(encoding=encoding)
    half = small_config(encoding=encoding, evolve={"generations": 6})
    resumed = evolve(whole, InProcessExecutor(build_host(whole), 2, 1), checkpoint=in_process(half).last)
    assert digest(resumed.last) == digest(in_process(whole).last)


@pytest.mark.slow
def test_a_search_with_counters_resumes_to_the_same_bits() -> None:
    search = settings_of("swift", "cppn")

    def config(generations: int) -> WorkConfig:
        return small_config(
            encoding={"name": "cppn", **search["encoding"], "max_nodes": 40},
            evolve={**search["evolve"], "initial": 30, "children": 21, "generations": generations},
        )

    half = in_process(config(6)).last
    resumed = evolve(config(12), InProcessExecutor(build_host(config(12)), 2, 1), checkpoint=half)
    assert digest(resumed.last) == digest(in_process(config(12)).last)


@pytest.mark.slow
def test_a_screen_without_room_for_all_begins_the_epoch_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little room there is at first, the archive is that of a network without a screen."""
    config = small_config(network={"screen": "bfloat16", "batch_size": 2})
    exact = digest(in_process(small_config(network={"batch_size": 2}), 1).last)
    attempts = 0
    attempt = Island._attempt

    def counted(island: Island, epoch: int, inbox: Inbox) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts % 3 == 0:
            island._referee._room = 2
        return attempt(island, epoch, inbox)

    monkeypatch.setattr(Island, "_attempt", counted)
    assert digest(in_process(config, 1).last) == exact
    assert attempts > 2 * 3 * 7  # runs, islands, epochs


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_nothing_that_was_found_is_lost(encoding: dict[str, Any]) -> None:
    config = small_config(runs=1, encoding=encoding)
    host, recorder = recording_host(config)
    final = in_process(config, host=host).last.runs[0].elites
    np.testing.assert_array_equal(final.confidence, recorder.best.numpy())


def test_history_has_every_improvement() -> None:
    run = in_process(small_config(runs=1, islands={"count": 1})).last.runs[0]
    last = {int(c): i for i, c in enumerate(run.history["class"])}
    for class_, row in last.items():
        for name, column in (("id", run.elites.ids), ("generation", run.elites.generations)):
            assert run.history[name][row] == column[class_]


class Failing:
    """A network that gives one score that is no number, in one batch."""

    def __init__(self, classifier: Any, batch: int) -> None:
        self._classifier = classifier
        self._left = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._classifier, name)

    def predict(self, images: Tensor) -> Prediction:
        prediction: Prediction = self._classifier.predict(images)
        self._left -= 1
        require(torch.tensor(self._left != 0), NetworkError("not finite"))
        return prediction


def test_what_is_wrong_in_an_epoch_is_told_at_its_end() -> None:
    config = small_config(islands={"count": 1})
    encoding, classifier = parts(config)
    host, key = IslandHost(config.evolution, encoding, Failing(classifier, 2)), IslandKey(0, 0)
    host.load(key, None)
    host.step(key, 0, Inbox())
    with pytest.raises(NetworkError, match="island 0 of run 0 failed in epoch 1: not finite"):
        host.step(key, 1, Inbox())


def test_what_lacked_memory_may_have_other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where cuDNN is refused the memory of one algorithm and takes another."""
    refused = iter((3, 3, 3, 4))
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda device: {"num_ooms": next(refused)})
    with enough_memory(torch.device("cuda")):
        pass
    with pytest.raises(NetworkError, match="cuda ran out of memory"), enough_memory(torch.device("cuda")):
        pass


def test_gradients_flip_no_switch_that_other_threads_share() -> None:
    try:
        repeatable_gradients(torch.device("cuda"))
        with gradients():
            assert torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    with gradients():
        assert not torch.are_deterministic_algorithms_enabled()
    repeatable_gradients(torch.device("cpu"))
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_first_failed_check_is_raised_and_none_is_forgotten() -> None:
    def demand(*conditions: bool) -> None:
        with deferred_checks():
            for number, holds in enumerate(conditions):
                require(torch.tensor(holds), ValueError(str(number)))

    demand()
    demand(True, True)
    with pytest.raises(ValueError, match="1"):
        demand(True, False, False)
    with pytest.raises(ValueError, match="0"):
        require(torch.tensor(False), ValueError("0"))


class MetaGenerator(torch.Generator):
    """A generator of the device `meta`, where it draws nothing."""

    device = torch.device("meta")


class MetaClassifier:
    """A linear network on the device `meta`."""

    name = fingerprint = "meta"
    classes = tuple("0123456789")
    input_size = 28
    device = torch.device("meta")

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def predict(self, images: Tensor) -> Prediction:
        pixels = images.flatten(1).float()
        logits = pixels @ torch.empty((pixels.shape[1], 10), device=self.device)
        require(logits.sum().isfinite(), NetworkError("not finite"))
        return Prediction(logits.softmax(1), logits)


def ensemble(channels: int) -> Classifier:
    return Ensemble([MetaClassifier(channels), MetaClassifier(channels)])


def screened(channels: int) -> Classifier:
    exact, replica = MetaClassifier(channels), MetaClassifier(channels)
    return ScreenedClassifier(exact, replica, batch_size=4, margin=0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "not_finite", "network", "channels"),
    [
        ({"name": "cppn"}, "skip", MetaClassifier, 1),
        ({"name": "cppn"}, "skip", ensemble, 1),
        ({"name": "cppn"}, "error", screened, 1),
        ({"name": "direct"}, "error", MetaClassifier, 1),
        ({"name": "direct", "variant": "released-code"}, "skip", MetaClassifier, 1),
        ({"name": "dct", "frequencies": 8}, "skip", MetaClassifier, 1),
        ({"name": "dct", "frequencies": 8}, "skip", ensemble, 3),
        ({"name": "cppn", **settings_of("swift", "cppn")["encoding"]}, "skip", MetaClassifier, 3),
    ],
)
def test_a_generation_needs_no_value_of_any_tensor(
    encoding: dict[str, Any],
    not_finite: str,
    network: Callable[[int], Classifier],
    channels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the device `meta` tensors have shapes only, and asking for a value is an error."""
    monkeypatch.setattr(island_module, "variation_stream", lambda *_: MetaGenerator())
    monkeypatch.setattr(cppn, "renderer_for", lambda device: draw_nothing)
    monkeypatch.setattr(draws, "PIECE", 64)
    swift = encoding["name"] == "cppn" and channels == 3
    config = small_config(
        encoding=encoding,
        islands={"count": 1},
        evolve=settings_of("swift", "cppn")["evolve"] if swift else {"tie_break": "margin"},
        network={"name": "unused:unused", "not_finite": not_finite},
    )
    encoding_ = build_encoding(config.encoding, channels, 28)
    island = Island(IslandKey(0, 0), config.evolution, encoding_, network(channels))
    log = island_module._Log(changed=torch.zeros(10, dtype=torch.bool, device="meta"))
    claims = island._new_archive()
    parents = torch.empty((10, 2), dtype=torch.int64, device="meta")
    operators = torch.empty(10, dtype=torch.uint8, device="meta")

    def evolve_a_little() -> None:
        with deferred_checks():
            genomes, to_beat = encoding_.random(10, MetaGenerator()), island._to_beat(claims)
            brood = island_module.Brood(0, 0, genomes, parents, operators, to_beat)
            answer(island, island._judge(brood, claims, log))
            island._held_genomes = island._archive.genomes
            island._held_ids = island._archive.columns["ids"]
            island._counts = island._counts.repeat(2)
            answer(island, island._generation(1, 1, claims, log))
            # What is copied to the device once is there by now.
            with no_copies():
                for generation in (2, 3):
                    answer(island, island._generation(1, generation, claims, log))
            assert len(log.history) == 4

    with pytest.raises(NotImplementedError, match="meta"):  # when the checks are read
        evolve_a_little()


def answer(island: Island, asking: island_module.Asking) -> None:
    """Judge the one brood of a generation."""
    brood = next(asking)
    assert isinstance(brood, island_module.Brood)
    with pytest.raises(StopIteration):
        asking.send(island._score(brood))


def draw_nothing(genomes: Genomes, outputs: int, limit: float, canvas: Canvas, colour: str) -> Tensor:
    """Do what the Triton kernel does before it is launched."""
    programs_of(genomes, outputs, limit)
    canvas.on(genomes.device)
    shape = (len(genomes), outputs, canvas.size, canvas.size)
    return torch.empty(shape, dtype=torch.uint8, device=genomes.device)
