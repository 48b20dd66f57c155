"""Neither the order of messages, nor losses, nor when commits fall, is part of a result."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import Finished, Lost, StateSource
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.messages import Inbox, IslandKey, NetworkFacts
from islands.archipelago.progress import Progress
from tests.archipelago.conftest import Evolution, digest, evolve, in_process, small_config
from tests.conftest import examples

pytestmark = pytest.mark.slow

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "eager": {"lag": 1, "topology": "fully_connected", "migration": {"type": "broadcast"}},
    "patient": {"lag": 4, "weight": 0.5, "migration": {"every": 2, "selection": "best"}},
    "alone": {"claims": False, "topology": "unconnected"},
}


class UnreliableExecutor:
    """Finishes epochs in any order, and loses some, island and all."""

    def __init__(self, host: IslandHost, chance: random.Random) -> None:
        self._host = host
        self._chance = chance
        self._loaded: set[IslandKey] = set()
        self._waiting: list[tuple[IslandKey, int, Inbox]] = []

    @property
    def facts(self) -> NetworkFacts:
        return self._host.facts

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        if key not in self._loaded:
            self._host.load(key, state())
            self._loaded.add(key)
        self._waiting.append((key, epoch, inbox))

    def wait(self, timeout: float) -> list[Finished | Lost]:
        self._chance.shuffle(self._waiting)
        ended = [self._waiting.pop() for _ in range(self._chance.randint(1, len(self._waiting)))]
        return [self._end(*each) for each in ended]

    def close(self) -> None:
        self._waiting.clear()

    def _end(self, key: IslandKey, epoch: int, inbox: Inbox) -> Finished | Lost:
        before_or_after = self._chance.random()
        if before_or_after < 0.1:
            self._loaded.remove(key)
            return Lost(key, "before the epoch")
        result = self._host.step(key, epoch, inbox)
        if before_or_after < 0.2:
            self._loaded.remove(key)
            return Lost(key, "after the epoch, before the driver had it")
        return Finished(key, result)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=examples(6), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), stop_after=st.integers(1, 60))
def test_any_order_any_losses_and_a_resume_give_the_same_bits(
    variant: str, seed: int, stop_after: int
) -> None:
    chance = random.Random(seed)
    config = small_config(islands=VARIANTS[variant], checkpoint={"every_s": 1e-6})
    host = build_host(config)
    seen = 0

    def stop(archipelago: Archipelago, progress: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == stop_after:
            archipelago.stop()

    first = evolve(config, UnreliableExecutor(host, chance), on_report=stop)
    commits = list(first.commits)
    if not first.complete:
        kept = commits[chance.randrange(len(commits))] if commits else None
        commits += evolve(config, UnreliableExecutor(host, chance), checkpoint=kept).commits
    assert digest(commits[-1]) == reference(variant)


_REFERENCES: dict[str, Evolution] = {}


def reference(variant: str) -> str:
    """Return the digest of the variant as one thread computes it in order."""
    if variant not in _REFERENCES:
        _REFERENCES[variant] = in_process(small_config(islands=VARIANTS[variant]))
    return digest(_REFERENCES[variant].last)
