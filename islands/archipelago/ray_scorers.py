"""Runs scorers on Ray actors with resources of their own."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
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
from islands.archipelago.ray_actors import Actors, Slot, ended
from islands.archipelago.scorer import Scorer, ScoreTask, build_scorer
from islands.archipelago.scorers import Scored
from islands.config import WorkConfig
from islands.config.own_code import packed, unpacked
from islands.evolution.scores import Scores

BACKGROUND = 10
"""How much a scorer that reserves no CPU yields to others, as of `nice`."""


class ScoringWorker:
    """The actor. Its constructor takes a configuration, never weights: Ray must be able to restart it."""

    def __init__(self, settings: dict[str, Any], channels: int, size: int) -> None:
        self._config = unpacked(settings)
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


class _Call(NamedTuple):
    task: ScoreTask
    slot: Slot[int]
    actor: Any
    began: float


class RayScorers:
    """Spreads tasks over `scorers.count` actors; one that dies or hangs is replaced, and its tasks come back.

    Raises:
        ConfigError: the cluster cannot be reached, or lacks the resources that the scorers ask for.
        InputError: a network cannot be had.
    """

    def __init__(self, config: WorkConfig, channels: int, size: int) -> None:
        self._config = config
        # Once: whoever replaces a lost one must run what the others run, whatever was edited meanwhile.
        self._message = packed(config)
        self._image = channels, size
        self._group: Any = None
        self._running: dict[Any, _Call] = {}
        with ExitStack() as started:
            if connect(config.ray, config.workers, config.scorers):
                started.callback(ray.shutdown)
            if config.scorers.cpus or config.scorers.gpus:
                self._group = reserve_for_scorers(config.scorers, patience(config))
                started.callback(remove_placement_group, self._group)
            self.scorers = Actors(
                range(config.scorers.count),
                self._start,
                config.workers,
                "scorers",
                "find the cause (memory?), then `islands resume STORE` scores what is missing",
            )
            started.callback(self.scorers.close)
            self.facts: tuple[NetworkFacts, ...] = self.scorers.first_facts()
            # Only now: a failure before this gives everything back.
            self._started = started.pop_all()

    @property
    def free(self) -> int:
        """See `Scorers.free`; a scorer that ends finds its next task waiting."""
        return 2 * len(self.scorers.slots) - len(self._running)

    def submit(self, task: ScoreTask) -> None:
        """Start a task."""
        slot = min(self.scorers.slots, key=lambda slot: slot.calls)
        self.scorers.begin(slot)
        self._running[slot.actor.score.remote(task)] = _Call(task, slot, slot.actor, slot.began)

    def wait(self, timeout: float) -> list[Scored]:
        """Return what has ended; see `Scorers.wait`."""
        if not self._running:
            return []
        done = [self._outcome(reference) for reference in ended(list(self._running), timeout)]
        self.scorers.kill_hung()
        return done

    def close(self) -> None:
        """Stop the actors, and Ray if it was started here."""
        self._started.close()

    def _outcome(self, reference: Any) -> Scored:
        call = self._running.pop(reference)
        self.scorers.end(call.slot, call.actor)
        # Elites, not tasks: the next task has some of these and others.
        elites = [(call.task.network, call.task.run, number) for number in call.task.ids.tolist()]
        try:
            scored = Scored(call.task, ray.get(reference))
        except RayActorError:
            self.scorers.lost(call.slot, call.actor, call.began, elites)
            return Scored(call.task, None)
        except ObjectLostError:
            self.scorers.count_failure(elites, time.monotonic())
            return Scored(call.task, None)
        except RayTaskError as error:
            raise error.cause from None
        self.scorers.got_on(call.slot, elites)
        return scored

    def _start(self, bundle: int) -> Any:
        scorers = self._config.scorers
        options: dict[str, Any] = {"num_cpus": scorers.cpus, "num_gpus": scorers.gpus}
        if self._group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                self._group, placement_group_bundle_index=bundle
            )
        kind: Any = ray.remote(ScoringWorker)
        return kind.options(**options).remote(self._message, *self._image)
