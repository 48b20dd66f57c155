"""A process that pauses within its commits: reads `STORE OWNER NAME COUNT`, says how they ended.

Its argument is for how many seconds it waits for a guard that another has. Before call COUNT of a function it
prints `here` and goes on when another line comes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import icechunk

import islands.store.lock
from islands.config import CheckpointConfig
from islands.errors import IslandsError
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint, make_config

OWNERS: dict[str, Any] = {
    "store": icechunk.IcechunkStore,
    "session": icechunk.Session,
    "repository": icechunk.Repository,
    "os": os,
}


def main() -> None:
    """Work off the lines of stdin."""
    islands.store.lock.PATIENCE_S = float(sys.argv[1])
    for line in iter(sys.stdin.readline, ""):
        location, owner, name, count = line.split()
        original = getattr(OWNERS[owner], name)
        try:
            with StoreWriter.open(location) as writer:
                config = make_config(Path("unused"), runs=1)
                writer.set_config(config.model_copy(update={"checkpoint": CheckpointConfig(keep=2)}))
                setattr(OWNERS[owner], name, _pausing(original, int(count)))
                writer.commit(make_checkpoint(1, 5, runs=1), complete=True)
                writer.collect(keep=2)
                writer.commit(make_checkpoint(1, 6, runs=1), complete=False)
            print("done", flush=True)
        except IslandsError as error:
            print(type(error).__name__, flush=True)
        finally:
            setattr(OWNERS[owner], name, original)


def _pausing(step: Callable[..., Any], count: int) -> Callable[..., Any]:
    calls = iter(range(count + 1))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls, None) == count:
            print("here", flush=True)
            sys.stdin.readline()
        return step(*arguments, **options)

    return call


if __name__ == "__main__":
    main()
