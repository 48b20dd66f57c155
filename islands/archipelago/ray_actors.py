"""Ray actors that are replaced when they die or hang: what workers and scorers have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import islands.archipelago.ray_session  # noqa: F401 - first: it prepares Ray's environment

# isort: split
import ray
from ray.exceptions import RayActorError, RayTaskError

from islands.archipelago.failures import Failures, window_s
from islands.config import WorkersConfig
from islands.errors import WorkersLostError

P = TypeVar("P")
"""What tells where an actor runs."""


@dataclass
class Slot(Generic[P]):
    """A place for an actor; a new one takes it over when the last one died.

    Attributes:
        place: where it runs.
        actor: who holds it now.
        starting: the reference that resolves when the actor can work; None once it has.
        began: when the actor was started, on the monotonic clock.
        calls: what it was given and has not done.
        active: when it last took or finished a call, on the monotonic clock.
    """

    place: P
    actor: Any
    starting: Any
    began: float
    calls: int = 0
    active: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the actor can work."""
        # A start that failed resolves as well: the first call then tells why, or has the actor replaced.
        if self.starting is not None and ray.wait([self.starting], timeout=0)[0]:
            self.starting = None
        return self.starting is None


class Actors(Generic[P]):
    """Actors of one kind, each in a slot.

    Args:
        places: one for each actor.
        start: starts an actor at a place; it must have a method `facts` without arguments.
        limits: when one counts as hung, and how often one may be lost before it gets on.
        kind: what messages call them.
        advice: what the message says when too many were lost.
    """

    def __init__(
        self, places: Sequence[P], start: Callable[[P], Any], limits: WorkersConfig, kind: str, advice: str
    ) -> None:
        self._start = start
        self._limits = limits
        self._kind = kind
        self._advice = advice
        self._failures = Failures(window_s(limits.max_failures, limits.epoch_timeout_s))
        self.slots = [self._open(place) for place in places]

    def first_facts(self) -> Any:
        """Wait until an actor is up, and return its facts; those that die meanwhile are replaced.

        Raises what the actor raised.
        """
        while True:
            slots = {slot.starting: slot for slot in self.slots}
            (ready,), _ = ray.wait(list(slots), num_returns=1)
            try:
                return ray.get(ready)
            except RayActorError:
                slot = slots[ready]
                self.lost(slot, slot.actor, slot.began)
            except RayTaskError as error:
                # What the user can mend, without Ray's traceback around it.
                raise error.cause from None

    def wait_for_all(self) -> None:
        """Wait until every actor is up, or has failed to; one that waits for resources is waited for."""
        for slot in self.slots:
            if slot.starting is not None:
                ray.wait([slot.starting])

    def begin(self, slot: Slot[P]) -> None:
        """Take note that its actor is given a call."""
        # An actor that was idle has not been hanging since its last call.
        if slot.calls == 0:
            slot.active = time.monotonic()
        slot.calls += 1

    def end(self, slot: Slot[P], actor: Any) -> None:
        """Take note that a call to `actor`, which may have left the slot since, has ended."""
        slot.active = time.monotonic()
        if slot.actor is actor:
            slot.calls -= 1

    def got_on(self, slot: Slot[P], tasks: Iterable[Hashable]) -> None:
        """Take note that an actor of a slot has done `tasks`."""
        self._failures.got_on([id(slot), *tasks])

    def lost(self, slot: Slot[P], actor: Any, began: float, tasks: Iterable[Hashable] = ()) -> bool:
        """Replace `actor`, unless that was done, and count a failure of the slot and of each task it had.

        Returns:
            Whether it was replaced now.

        Args:
            slot: where it was.
            actor: who was lost.
            began: when it was started.
            tasks: what it was doing.

        Raises:
            WorkersLostError: it was one too many.
        """
        # All calls of a dead actor come back lost, one by one: the first has it replaced.
        is_new = slot.actor is actor
        self.count_failure([id(slot), *tasks] if is_new else tasks, began)
        if is_new:
            fresh = self._open(slot.place)
            slot.actor, slot.starting, slot.began, slot.calls = fresh.actor, fresh.starting, fresh.began, 0
        return is_new

    def count_failure(self, things: Iterable[Hashable], began: float) -> None:
        """Count a failure of each of `things`; see `Failures.failed`.

        Raises:
            WorkersLostError: one of them has failed too often since it last got on.
        """
        count, limit = self._failures.failed(things, began, time.monotonic()), self._limits.max_failures
        if 0 <= limit < count:
            raise WorkersLostError(
                f"{self._kind} failed {count} times, more than workers.max_failures ({limit}) allows before "
                f"anything is done; {self._advice}"
            )

    def kill_hung(self) -> None:
        """Kill those that exceed the limit; their calls then end as lost."""
        for slot in self.slots:
            if slot.calls and time.monotonic() - slot.active > self._limits.epoch_timeout_s:
                ray.kill(slot.actor)
                # It is killed once: Ray needs a while to end the calls.
                slot.active = time.monotonic()

    def close(self) -> None:
        """Stop them all."""
        for slot in self.slots:
            ray.kill(slot.actor)

    def _open(self, place: P) -> Slot[P]:
        actor = self._start(place)
        return Slot(place, actor, starting=actor.facts.remote(), began=time.monotonic())


def ended(references: list[Any], timeout: float) -> list[Any]:
    """Return those of `references` that have ended, after at most `timeout` seconds, the first first."""
    # Who asks for all at once waits for the slowest; who asks for one leaves others that have ended too.
    done, _ = ray.wait(references, num_returns=1, timeout=timeout)
    more, _ = ray.wait(references, num_returns=len(references), timeout=0)
    return list(dict.fromkeys([*done, *more]))
