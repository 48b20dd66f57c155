"""Runs islands on Ray actors: one process, one classifier replica, one device each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from islands.archipelago.ray_session import connect  # first: it prepares Ray's environment

# isort: split
import ray
from ray.exceptions import ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from islands.archipelago.executor import Finished, Lost, StateSource
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.messages import Inbox, IslandKey, IslandState, NetworkFacts, StepResult
from islands.archipelago.placement import Place, Placement, patience
from islands.archipelago.ray_actors import Actors, Slot, ended
from islands.config import WorkConfig
from islands.config.own_code import packed, unpacked
from islands.errors import NotLoadedError, WorkersLostError

R = TypeVar("R")


class Worker:
    """The actor. Its constructor takes a configuration, never weights: Ray must be able to restart it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings

    @cached_property
    def _host(self) -> IslandHost:
        # Built at the first call, not in the constructor: an error here then comes back as itself.
        return build_host(unpacked(self._settings))

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


def on_a_worker(config: WorkConfig, function: Callable[[WorkConfig], R]) -> R:
    """Call `function` with `config` where a worker would run, and return what it returns; Ray is connected.

    Raises:
        ConfigError: no resources for a worker came within the time to wait for them.
        WorkersLostError: the process died.
        What `function` raises.
    """
    message, workers = packed(config), config.workers

    def call(message: dict[str, Any]) -> R:
        return function(unpacked(message))

    options: dict[str, Any] = {
        "num_cpus": workers.cpus,
        "num_gpus": workers.gpus,
        "resources": workers.resources,
    }
    one = workers.model_copy(update={"count": 1, "min": None, "per_node": None})
    placement = Placement(one)
    try:
        placement.wait(patience(config))
        (place,) = placement.places
        strategy = PlacementGroupSchedulingStrategy(place.group, placement_group_bundle_index=place.bundle)
        task: Any = ray.remote(call)
        options = {**options, "scheduling_strategy": strategy, "max_retries": 0}
        found: R = ray.get(task.options(**options).remote(message))
        return found
    except RayTaskError as error:
        raise error.cause from None
    except WorkerCrashedError as error:
        raise WorkersLostError(f"a worker died ({error}); look for the cause (memory?)") from None
    finally:
        placement.remove()


class _Call(NamedTuple):
    """An epoch under way, where it runs since when, and the loading that had to come before it."""

    key: IslandKey
    slot: Slot[Place]
    actor: Any
    began: float
    loading: Any


class RayExecutor:
    """Spreads the islands over `workers.count` actors.

    Each island has a home. While the home's worker is gone, another hosts the island; it returns with its
    next epoch when a new worker has come up there. A worker that takes longer than `workers.epoch_timeout_s`
    for an epoch counts as hung and is killed. Workers beyond `workers.min` join when there is room for them.

    Raises:
        ConfigError: the cluster cannot be reached, or lacks the resources that the workers ask for.
    """

    def __init__(self, config: WorkConfig) -> None:
        self._config = config
        # Once: whoever replaces a lost one must run what the others run, whatever was edited meanwhile.
        self._message = packed(config)
        self._hosts: dict[IslandKey, Any] = {}
        self._running: dict[Any, _Call] = {}
        with ExitStack() as started:
            if connect(config.ray, config.workers, config.scorers if config.held_out else None):
                started.callback(ray.shutdown)
            placement = Placement(config.workers)
            started.callback(placement.remove)
            placement.wait(patience(config))
            self.workers = Actors(
                placement.places,
                self._start,
                config.workers,
                "workers",
                "the last commit stands: look for the cause (memory?) and resume",
            )
            started.callback(self.workers.close)
            self.facts: NetworkFacts = self.workers.first_facts()
            # Only now: a failure before this gives everything back.
            self._started = started.pop_all()

    def submit(self, key: IslandKey, epoch: int, inbox: Inbox, state: StateSource) -> None:
        """Start one epoch; see `Executor.submit`."""
        slot = self._slot_for(key)
        loading = None
        if self._hosts.get(key) is not slot.actor:
            # Not awaited: an actor does one caller's calls in their order, so that `step` finds the island.
            loading = slot.actor.load.remote(key, state())
            self._hosts[key] = slot.actor
        self.workers.begin(slot)
        self._running[slot.actor.step.remote(key, epoch, inbox)] = _Call(
            key, slot, slot.actor, slot.began, loading
        )

    def wait(self, timeout: float) -> list[Finished | Lost]:
        """Return what has ended; see `Executor.wait`."""
        if not self._running:
            return []
        outcomes = [self._outcome(reference) for reference in ended(list(self._running), timeout)]
        self.workers.kill_hung()
        return outcomes

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        self._started.close()

    def _slot_for(self, key: IslandKey) -> Slot[Place]:
        """Return the island's home, or the least busy worker that is up while the home is not."""
        slots = self.workers.slots
        home = slots[(key.run * self._config.islands.count + key.island) % len(slots)]
        if home.is_up:
            return home
        # Where nobody is up, the call waits at home until the actor is.
        return min((slot for slot in slots if slot.is_up), key=lambda slot: slot.calls, default=home)

    def _outcome(self, reference: Any) -> Finished | Lost:
        call = self._running.pop(reference)
        self.workers.end(call.slot, call.actor)
        try:
            if call.loading is not None:
                # Before the step: what it failed of is the cause of what the step says.
                ray.get(call.loading)
            finished = Finished(call.key, ray.get(reference), self._number(call))
        except RayActorError as error:
            restarted = self.workers.lost(call.slot, call.actor, call.began, [call.key])
            return Lost(call.key, str(error), self._number(call), restarted)
        except RayTaskError as error:
            if not isinstance(error.cause, NotLoadedError):
                raise error.cause from None
            return self._unloaded(call, error)
        except ObjectLostError as error:
            return self._unloaded(call, error)
        self.workers.got_on(call.slot, [call.key])
        return finished

    def _number(self, call: _Call) -> int:
        return next(number for number, slot in enumerate(self.workers.slots) if slot is call.slot)

    def _unloaded(self, call: _Call, error: Exception) -> Lost:
        self._hosts.pop(call.key, None)
        # With now as its beginning it always counts: no lost worker explains it.
        self.workers.count_failure([call.key], time.monotonic())
        return Lost(call.key, str(error), self._number(call))

    def _start(self, place: Place) -> Any:
        workers = self._config.workers
        strategy = PlacementGroupSchedulingStrategy(place.group, placement_group_bundle_index=place.bundle)
        # Without max_restarts: an actor that Ray has restarted answers, but all its islands are gone.
        kind: Any = ray.remote(Worker)
        options = {
            "num_cpus": workers.cpus,
            "num_gpus": workers.gpus,
            "resources": workers.resources,
            "scheduling_strategy": strategy,
        }
        return kind.options(**options).remote(self._message)
