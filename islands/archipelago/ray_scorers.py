"""Runs scorers on Ray actors with resources of their own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from islands.archipelago.ray_session import connect  # first: it prepares Ray's environment

# isort: split
import ray
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.util.placement_group import remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from islands.archipelago.messages import NetworkFacts
from islands.archipelago.placement import patience, reserve_for_scorers
from islands.archipelago.scorer import Scorer, ScoreTask, build_scorer
from islands.archipelago.scorers import Scored
from islands.config import RunConfig
from islands.errors import WorkersLostError
from islands.evolution.scores import Scores

BACKGROUND = 10
"""How much a scorer that reserves no CPU yields to others, as of `nice`."""


class ScoringWorker:
    """The actor. Its constructor takes a configuration, never weights: Ray must be able to restart it."""

    def __init__(self, settings: dict[str, Any], channels: int, size: int) -> None:
        self._config = RunConfig.model_validate(settings)
        self._image = channels, size
        if self._config.scorers.cpus == 0:
            os.nice(BACKGROUND)

    @cached_property
    def _scorer(self) -> Scorer:
        # Built at the first call, not in the constructor: an error here then comes back as itself.
        return build_scorer(self._config, *self._image)

    def facts(self) -> tuple[NetworkFacts, ...]:
        """See `Scorer.facts`."""
        return self._scorer.facts

    def pid(self) -> int:
        """Return the id of this process."""
        return os.getpid()

    def score(self, task: ScoreTask) -> Scores:
        """See `Scorer.score`."""
        return self._scorer.score(task)


@dataclass
class _Slot:
    """A place for a scorer; a new actor takes it over when the last one died.

    Attributes:
        bundle: its part of the placement group.
        actor: the scorer.
        calls: tasks that it was given and has not done.
        active: when it last took or finished a task, on the monotonic clock.
    """

    bundle: int
    actor: Any
    calls: int = 0
    active: float = 0.0


class _Call(NamedTuple):
    task: ScoreTask
    slot: _Slot
    actor: Any


class RayScorers:
    """Spreads tasks over `scorers.count` actors; one that dies or hangs is replaced, and its tasks come back.

    Raises:
        ConfigError: the cluster cannot be reached, or lacks the resources that the scorers ask for.
        InputError: a network cannot be had.
    """

    def __init__(self, config: RunConfig, channels: int, size: int) -> None:
        self._config = config
        self._image = channels, size
        self._owns_ray = connect(config.ray, config.workers, config.scorers)
        self._group: Any = None
        self._slots: list[_Slot] = []
        self._running: dict[Any, _Call] = {}
        self._failures = 0
        try:
            if config.scorers.cpus or config.scorers.gpus:
                self._group = reserve_for_scorers(config.scorers, patience(config))
            self._slots = [_Slot(place, self._start(place)) for place in range(config.scorers.count)]
            self.facts: tuple[NetworkFacts, ...] = self._first_facts()
        except RayTaskError as error:
            self.close()
            raise error.cause from None
        except BaseException:
            self.close()
            raise

    @property
    def free(self) -> int:
        """See `Scorers.free`; a scorer that ends finds its next task waiting."""
        return 2 * len(self._slots) - len(self._running)

    def submit(self, task: ScoreTask) -> None:
        """Start a task."""
        slot = min(self._slots, key=lambda slot: slot.calls)
        if slot.calls == 0:
            slot.active = time.monotonic()
        slot.calls += 1
        self._running[slot.actor.score.remote(task)] = _Call(task, slot, slot.actor)

    def wait(self, timeout: float) -> list[Scored]:
        """Return what has ended; see `Scorers.wait`."""
        if not self._running:
            return []
        references = list(self._running)
        ray.wait(references, num_returns=1, timeout=timeout)
        done, _ = ray.wait(references, num_returns=len(references), timeout=0)
        ended = [self._outcome(reference) for reference in done]
        self._kill_hung()
        return ended

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        for slot in self._slots:
            ray.kill(slot.actor)
        if self._group is not None:
            remove_placement_group(self._group)
        if self._owns_ray:
            ray.shutdown()

    def _outcome(self, reference: Any) -> Scored:
        call = self._running.pop(reference)
        call.slot.active = time.monotonic()
        current = call.slot.actor is call.actor
        if current:
            call.slot.calls -= 1
        try:
            return Scored(call.task, ray.get(reference))
        except RayActorError:
            if current:
                self._replace(call.slot)
            return Scored(call.task, None)
        except ObjectLostError:
            return Scored(call.task, None)
        except RayTaskError as error:
            raise error.cause from None

    def _first_facts(self) -> tuple[NetworkFacts, ...]:
        while True:
            try:
                facts: tuple[NetworkFacts, ...] = ray.get(self._slots[0].actor.facts.remote())
            except RayActorError:
                self._replace(self._slots[0])
            else:
                return facts

    def _kill_hung(self) -> None:
        """Kill scorers that exceed the limit; their tasks then come back without scores."""
        for slot in self._slots:
            if slot.calls and time.monotonic() - slot.active > self._config.workers.epoch_timeout_s:
                ray.kill(slot.actor)
                slot.active = time.monotonic()

    def _replace(self, slot: _Slot) -> None:
        self._failures += 1
        limit = self._config.workers.max_failures
        if 0 <= limit < self._failures:
            raise WorkersLostError(
                f"scorers failed {self._failures} times, workers.max_failures ({limit}) allows no more; "
                f"find the cause (memory?), then `islands resume {self._config.store}` scores what is missing"
            )
        slot.actor, slot.calls = self._start(slot.bundle), 0

    def _start(self, bundle: int) -> Any:
        scorers = self._config.scorers
        options: dict[str, Any] = {"num_cpus": scorers.cpus, "num_gpus": scorers.gpus}
        if self._group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                self._group, placement_group_bundle_index=bundle
            )
        kind: Any = ray.remote(ScoringWorker)
        return kind.options(**options).remote(self._config.model_dump(mode="json"), *self._image)
