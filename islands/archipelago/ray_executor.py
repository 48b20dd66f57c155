"""Runs islands on Ray actors: one process, one classifier replica, one device each."""

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
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from islands.archipelago.executor import Finished, Lost, StateSource
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.messages import Inbox, IslandKey, IslandState, NetworkFacts, StepResult
from islands.archipelago.placement import Place, Placement, patience
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
    """A place for a worker; a new actor takes it over when the last one died.

    Attributes:
        place: its part of the reservations.
        actor: the worker.
        starting: the reference that resolves when the worker can take islands; None once it has.
        calls: epochs under way on it.
        active: when it last took or finished an epoch, on the monotonic clock.
    """

    place: Place
    actor: Any
    starting: Any
    calls: int = 0
    active: float = 0.0


class _Call(NamedTuple):
    """An epoch under way, where it runs, and the loading that had to come before it."""

    key: IslandKey
    slot: _Slot
    actor: Any
    loading: Any


class RayExecutor:
    """Spreads the islands over `workers.count` actors.

    Each island has a home. While the home's worker is gone, another hosts the island; it returns with its
    next epoch when a new worker has come up there. A worker that takes longer than `workers.epoch_timeout_s`
    for an epoch counts as hung and is killed. Workers beyond `workers.min` join when there is room for them.

    Raises:
        ConfigError: the cluster cannot be reached, or lacks the resources that the workers ask for.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._owns_ray = connect(config.ray, config.workers, config.scorers if config.held_out else None)
        self._placement: Placement | None = None
        self._slots: list[_Slot] = []
        self._hosts: dict[IslandKey, Any] = {}
        self._running: dict[Any, _Call] = {}
        self._failures = 0
        try:
            self._placement = Placement(config.workers)
            self._placement.wait(patience(config))
            self._slots = [self._open_slot(place) for place in self._placement.places]
            self.facts = self._first_facts()
        except RayTaskError as error:
            self.close()
            raise error.cause from None
        except BaseException:
            self.close()
            raise

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        """Start one epoch; see `Executor.submit`."""
        slot = self._slot_for(key)
        loading = None
        if self._hosts.get(key) is not slot.actor:
            loading = slot.actor.load.remote(key, state())
            self._hosts[key] = slot.actor
        if slot.calls == 0:
            slot.active = time.monotonic()
        slot.calls += 1
        self._running[slot.actor.step.remote(key, epoch, inbox)] = _Call(key, slot, slot.actor, loading)

    def wait(self, timeout: float) -> list[Finished | Lost]:
        """Return what has ended; see `Executor.wait`."""
        if not self._running:
            return []
        references = list(self._running)
        done, _ = ray.wait(references, num_returns=1, timeout=timeout)
        more, _ = ray.wait(references, num_returns=len(references), timeout=0)
        outcomes = [self._outcome(reference) for reference in dict.fromkeys([*done, *more])]
        self._kill_hung_workers()
        return outcomes

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        for slot in self._slots:
            ray.kill(slot.actor)
        if self._placement is not None:
            self._placement.remove()
        if self._owns_ray:
            ray.shutdown()

    def _first_facts(self) -> NetworkFacts:
        """Wait until a worker is up; those that die meanwhile are replaced."""
        while True:
            slots = {slot.starting: slot for slot in self._slots}
            (ready,), _ = ray.wait(list(slots), num_returns=1)
            try:
                facts: NetworkFacts = ray.get(ready)
            except RayActorError:
                self._replace(slots[ready])
            else:
                return facts

    def _slot_for(self, key: IslandKey) -> _Slot:
        """Return the island's home, or the least busy worker that is up while the home is not."""
        home = self._slots[(key.run * self._config.islands.count + key.island) % len(self._slots)]
        if self._is_up(home):
            return home
        return min(filter(self._is_up, self._slots), key=lambda slot: slot.calls, default=home)

    def _is_up(self, slot: _Slot) -> bool:
        if slot.starting is not None and ray.wait([slot.starting], timeout=0)[0]:
            slot.starting = None
        return slot.starting is None

    def _outcome(self, reference: Any) -> Finished | Lost:
        call = self._running.pop(reference)
        call.slot.active = time.monotonic()
        if call.slot.actor is call.actor:
            call.slot.calls -= 1
        try:
            if call.loading is not None:
                ray.get(call.loading)
            return Finished(call.key, ray.get(reference))
        except RayActorError as error:
            if call.slot.actor is call.actor:
                self._replace(call.slot)
            return Lost(call.key, str(error))
        except RayTaskError as error:
            if not isinstance(error.cause, NotLoadedError):
                raise error.cause from None
            return self._unloaded(call.key, error)
        except ObjectLostError as error:
            return self._unloaded(call.key, error)

    def _unloaded(self, key: IslandKey, error: Exception) -> Lost:
        self._hosts.pop(key, None)
        self._count_failure()
        return Lost(key, str(error))

    def _kill_hung_workers(self) -> None:
        """Kill workers that exceed the limit; their epochs then come back as lost."""
        limit = self._config.workers.epoch_timeout_s
        for slot in self._slots:
            if slot.calls and time.monotonic() - slot.active > limit:
                ray.kill(slot.actor)
                slot.active = time.monotonic()

    def _replace(self, slot: _Slot) -> None:
        self._count_failure()
        fresh = self._open_slot(slot.place)
        slot.actor, slot.starting, slot.calls = fresh.actor, fresh.starting, 0

    def _count_failure(self) -> None:
        self._failures += 1
        limit = self._config.workers.max_failures
        if 0 <= limit < self._failures:
            raise WorkersLostError(
                f"workers failed {self._failures} times, more than workers.max_failures ({limit}) allows; "
                "the last commit stands: look for the cause (memory?) and resume"
            )

    def _open_slot(self, place: Place) -> _Slot:
        workers = self._config.workers
        strategy = PlacementGroupSchedulingStrategy(place.group, placement_group_bundle_index=place.bundle)
        kind: Any = ray.remote(Worker)
        options = {
            "num_cpus": workers.cpus,
            "num_gpus": workers.gpus,
            "resources": workers.resources,
            "scheduling_strategy": strategy,
        }
        actor = kind.options(**options).remote(self._config.model_dump(mode="json"))
        return _Slot(place, actor, starting=actor.facts.remote())
