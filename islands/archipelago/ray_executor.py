"""Runs islands on Ray actors: one process, one classifier replica, one device each."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from islands.archipelago.ray_session import connect, reserve  # first: it prepares Ray's environment

# isort: split
import ray
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError
from ray.util.placement_group import remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from islands.archipelago.executor import Finished, Lost, StateSource
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.messages import Inbox, IslandKey, IslandState, NetworkFacts, StepResult
from islands.config import RunConfig
from islands.errors import NotLoadedError, WorkersLostError


class Worker:
    """The actor. Its constructor takes a configuration, never weights: Ray must be able to restart it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    @cached_property
    def _host(self) -> IslandHost:
        # Built at the first call, not in the constructor: an error here then comes back as itself.
        return build_host(RunConfig.model_validate(self._settings))

    def facts(self) -> NetworkFacts:
        """See `IslandHost.facts`."""
        return self._host.facts

    def pid(self) -> int:
        """Return the id of this process."""
        return os.getpid()

    def load(self, key: IslandKey, state: IslandState | None) -> None:
        """See `IslandHost.load`."""
        self._host.load(key, state)

    def step(self, key: IslandKey, epoch: int, inbox: Inbox) -> StepResult:
        """See `IslandHost.step`."""
        return self._host.step(key, epoch, inbox)


@dataclass
class _Slot:
    """A place for a worker; a new actor takes it over when the last one died."""

    index: int
    actor: Any
    resident: set[IslandKey] = field(default_factory=set)


class _Call(NamedTuple):
    """An epoch under way, and the actor that it was given to."""

    key: IslandKey
    slot: _Slot
    actor: Any


class RayExecutor:
    """Spreads the islands over `workers.count` actors and replaces actors that die.

    Raises:
        ConfigError: the cluster cannot be reached, or lacks the resources that the workers ask for.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._owns_ray = connect(config.ray, config.workers)
        self._group: Any = None
        self._slots: list[_Slot] = []
        self._running: dict[Any, _Call] = {}
        self._failures = 0
        try:
            self._group = reserve(config.workers, may_grow=config.ray.address != "local")
            self._slots = [_Slot(i, self._start_actor(i)) for i in range(config.workers.count)]
            self.facts: NetworkFacts = ray.get([slot.actor.facts.remote() for slot in self._slots])[0]
        except RayTaskError as error:
            self.close()
            raise error.cause from None
        except BaseException:
            self.close()
            raise

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        """Start one epoch; see `Executor.submit`."""
        slot = self._slots[(key.run * self._config.islands.count + key.island) % len(self._slots)]
        if key not in slot.resident:
            slot.actor.load.remote(key, state())
            slot.resident.add(key)
        self._running[slot.actor.step.remote(key, epoch, inbox)] = _Call(key, slot, slot.actor)

    def wait(self, timeout: float) -> list[Finished | Lost]:
        """Return what has ended; see `Executor.wait`."""
        if not self._running:
            return []
        references = list(self._running)
        done, _ = ray.wait(references, num_returns=1, timeout=timeout)
        more, _ = ray.wait(references, num_returns=len(references), timeout=0)
        return [self._outcome(reference) for reference in dict.fromkeys([*done, *more])]

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        for slot in self._slots:
            ray.kill(slot.actor)
        if self._group is not None:
            remove_placement_group(self._group)
        if self._owns_ray:
            ray.shutdown()

    def _outcome(self, reference: Any) -> Finished | Lost:
        key, slot, actor = self._running.pop(reference)
        try:
            return Finished(key, ray.get(reference))
        except RayActorError as error:
            if slot.actor is actor:
                self._replace(slot)
            return Lost(key, str(error))
        except RayTaskError as error:
            if not isinstance(error.cause, NotLoadedError):
                raise error.cause from None
            slot.resident.discard(key)
            return Lost(key, str(error.cause))
        except ObjectLostError as error:
            slot.resident.discard(key)
            return Lost(key, str(error))

    def _replace(self, slot: _Slot) -> None:
        self._failures += 1
        limit = self._config.workers.max_failures
        if 0 <= limit < self._failures:
            raise WorkersLostError(
                f"{self._failures} workers crashed, more than workers.max_failures ({limit}) allows; the "
                "last commit stands: look for the cause (memory?) and resume"
            )
        slot.actor = self._start_actor(slot.index)
        slot.resident = set()

    def _start_actor(self, bundle: int) -> Any:
        workers = self._config.workers
        strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=bundle)
        actor = ray.remote(Worker).options(
            num_cpus=workers.cpus, num_gpus=workers.gpus, scheduling_strategy=strategy
        )
        return actor.remote(self._config.model_dump(mode="json"))
