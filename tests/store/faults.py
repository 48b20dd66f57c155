"""Failures of a disk or a bucket, at any step by which a writer reads or changes a store."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import isawaitable
from threading import Lock
from typing import Any
from unittest import mock

import icechunk

from islands.store.writer import StoreWriter

STEPS: tuple[tuple[Any, str], ...] = (
    (icechunk.Repository, "writable_session"),
    (icechunk.Repository, "ancestry"),
    (icechunk.IcechunkStore, "get"),
    (icechunk.IcechunkStore, "set"),
    (icechunk.IcechunkStore, "delete"),
    (icechunk.Session, "commit"),
    (icechunk.Repository, "create_tag"),
    (icechunk.Repository, "garbage_collect"),
    (icechunk.Repository, "expire_snapshots"),
    (os, "sync"),
)
"""All that a commit does, from the opening of its session to the sweep that follows."""

FULL = OSError(errno.ENOSPC, "No space left on device")

Plan = Callable[[str], str | None]
"""Says of a step, by its name: `before` or `after` it an error comes, or None."""


@contextmanager
def failing(plan: Plan) -> Iterator[None]:
    """Let steps fail as `plan` says; after a step means that it is done, and nobody hears of it."""
    lock = Lock()

    def with_faults(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            with lock:
                when = plan(name)
            if when == "before":
                raise OSError(*FULL.args)
            result = step(*arguments, **options)
            return result if when is None else _lost(result)

        return call

    with ExitStack() as stack:
        for owner, name in STEPS:
            stack.enter_context(mock.patch.object(owner, name, with_faults(name, getattr(owner, name))))
        yield


def _lost(result: Any) -> Any:
    if not isawaitable(result):
        raise OSError(*FULL.args)

    async def finish() -> None:
        await result
        raise OSError(*FULL.args)

    return finish()


def nth(number: int, when: str) -> Plan:
    """Fail at step `number`, counted from 0, and at no other."""
    steps = iter(range(number + 1))
    return lambda _: when if next(steps, None) == number else None


def first(step: str, when: str, times: int = 1) -> Plan:
    """Fail at the first `times` calls of a step."""
    left = iter(range(times))
    return lambda name: when if name == step and next(left, None) is not None else None


@contextmanager
def failing_commits(plans: Iterator[Plan]) -> Iterator[None]:
    """Let steps of a writer's commits fail by a plan for each try, and nothing before or after them."""
    plan: Plan = nothing

    def planned(commit: Callable[..., str]) -> Callable[..., str]:
        def call(*arguments: Any, **options: Any) -> str:
            nonlocal plan
            plan = next(plans)
            try:
                return commit(*arguments, **options)
            finally:
                plan = nothing

        return call

    with (
        failing(lambda step: plan(step)),
        mock.patch.object(StoreWriter, "commit", planned(StoreWriter.commit)),
        mock.patch.object(StoreWriter, "commit_scores", planned(StoreWriter.commit_scores)),
    ):
        yield


def nothing(_step: str) -> None:
    """Let all steps succeed."""


def some(dice: random.Random, share: float = 0.4) -> Iterator[Plan]:
    """Let a share of all tries fail somewhere, before or after a step."""
    while True:
        kinds: Plan = first(dice.choice([name for _, name in STEPS]), dice.choice(["before", "after"]))
        places: Plan = nth(dice.randrange(150), dice.choice(["before", "after"]))
        yield dice.choice([kinds, places]) if dice.random() < share else nothing
