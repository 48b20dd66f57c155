"""Measures the driver alone: many simulated islands whose network costs nothing."""

from __future__ import annotations

import time
from contextlib import closing

import torch
from torch import Tensor

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import Finished, Lost, StateSource
from islands.archipelago.host import IslandHost
from islands.archipelago.messages import Inbox, IslandKey, NetworkFacts
from islands.bench.rows import Row
from islands.classifiers.contract import Prediction
from islands.config import RunConfig
from islands.encodings.factory import build_encoding

ISLANDS = 64
CLASSES = 1000
EPOCHS = 3


class NullClassifier:
    """A random linear map of small images: it costs next to nothing, and tells images apart."""

    name = "null"
    channels = 1
    input_size = 8
    fingerprint = "null"
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.classes = tuple(map(str, range(CLASSES)))
        size = self.input_size**2
        self._weights = torch.randn((size, CLASSES), generator=torch.Generator().manual_seed(0)) / size**0.5

    def predict(self, images: Tensor) -> Prediction:
        """Score images; see `Classifier.predict`."""
        logits = images.flatten(1).float() / 64 @ self._weights
        return Prediction(logits.softmax(1), logits)


class _Simulated:
    """Runs epochs within `wait`, one at a time, and notes how long they take."""

    def __init__(self, host: IslandHost) -> None:
        self._host = host
        self._loaded: set[IslandKey] = set()
        self._waiting: list[tuple[IslandKey, int, Inbox]] = []
        self.seconds = 0.0

    @property
    def facts(self) -> NetworkFacts:
        return self._host.facts

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        if key not in self._loaded:
            self._host.load(key, state())
            self._loaded.add(key)
        self._waiting.append((key, epoch, inbox))

    def wait(self, timeout: float) -> list[Finished | Lost]:
        del timeout
        started = time.thread_time()
        key, epoch, inbox = self._waiting.pop(0)
        result = self._host.step(key, epoch, inbox)
        self.seconds += time.thread_time() - started
        return [Finished(key, result)]

    def close(self) -> None:
        """There is nothing to free."""


def measure_driver(islands: int = ISLANDS, epochs: int = EPOCHS) -> list[Row]:
    """Measure what the driver needs to route and record the mail of `islands` islands, and to cut once."""
    config = RunConfig.model_validate(
        {
            "pipeline": "custom",
            "store": "unused",
            "network": {"name": "null"},
            "encoding": {"name": "cppn"},
            "evolve": {"initial": 50, "children": 50, "generations": epochs, "generations_per_epoch": 1},
            "islands": {"count": islands},
        }
    )
    network = NullClassifier()
    encoding = build_encoding(config.encoding, network.channels, network.input_size)
    with closing(_Simulated(IslandHost(config, encoding, network))) as executor:
        archipelago = Archipelago(config, CLASSES, executor, _ignore, _ignore)
        started = time.thread_time()
        archipelago.run()
        seconds = time.thread_time() - started - executor.seconds
    each = 1e3 * seconds / (islands * (epochs + 1))
    meaning = f"CPU time of the driver, an island and epoch: {islands} simulated islands, {CLASSES} classes"
    return [Row("driver", each, "ms", meaning)]


def _ignore(*_: object) -> None:
    """Commit, or show, nothing."""
