"""What served networks were asked and what they answered, kept by all processes of this machine together."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from islands.classifiers.hosts import ServedName
from islands.errors import BudgetSpentError
from islands.folders import cache_directory

Floats = npt.NDArray[np.float32]

_SCHEMA = """
create table if not exists account (asked integer not null, free_at real not null);
insert into account select 0, 0 where not exists (select * from account);
create table if not exists models (id integer primary key, settings blob not null, answers blob not null);
create table if not exists answers (
    model integer not null, image blob not null, scores blob not null, primary key (model, image)
) without rowid;
"""
_PATIENCE_S = 60.0
"""How long a process waits for others to let go of the file."""
_STALE_S = 3600.0
"""A clock that was set back must not make anybody wait for longer."""
_CLOSE = 1e-4
"""Of the largest score: by how much a server's float sums may differ from time to time."""


class Limits(NamedTuple):
    """How often a served network may be asked.

    Attributes:
        queries_per_second: by all processes of this machine together; None: as often as it answers.
        budget: images, ever, by all processes of this machine together; None: any number.
    """

    queries_per_second: float | None = None
    budget: int | None = None


class QueryLedger:
    """One file for each served network, which its processes share; `close` it in the end.

    A query is an image in a request: those that fill up a batch count, and those of a request that failed.
    """

    def __init__(self, name: ServedName, limits: Limits, label: str) -> None:
        self.path = ledger_path(name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._limits = limits
        self._label = label
        # Threads of a worker take turns.
        self._lock = threading.RLock()
        self._database = sqlite3.connect(
            self.path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        # No write-ahead log: nodes of a cluster may share the folder over a network.
        self._database.execute("pragma journal_mode = truncate")
        # What a power failure takes is asked again; the count of a crashed process stays.
        self._database.execute("pragma synchronous = off")
        with self._transaction():
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)

    @property
    def asked(self) -> int:
        """Queries of all processes of this machine, ever."""
        with self._lock:
            (asked,) = self._database.execute("select asked from account").fetchone()
        return int(asked)

    def reserve(self, queries: int) -> None:
        """Count queries that are about to be made, and wait until they may be.

        Raises:
            BudgetSpentError: they would be more than the budget; none is counted.
        """
        budget, rate = self._limits.budget, self._limits.queries_per_second
        with self._transaction():
            asked, free_at = self._database.execute("select asked, free_at from account").fetchone()
            if budget is not None and asked + queries > budget:
                raise BudgetSpentError(
                    f"{self._label}: {asked:,} queries were made from this machine, and {queries} more "
                    f"would exceed network.budget ({budget:,}); answers are kept: raise the budget, and go on"
                )
            now = time.time()
            begins = max(now, free_at) if free_at - now < _STALE_S else now
            until = begins if rate is None else begins + queries / rate
            self._database.execute("update account set asked = asked + ?, free_at = ?", (queries, until))
        time.sleep(max(0.0, begins - now))

    def model(self, settings: bytes, answers: Floats) -> tuple[int, Floats, float]:
        """Return the number of the model that gives such answers, its first ones, and how far these are off.

        Args:
            settings: what answers depend on beside the model.
            answers: (B, K), to pictures that are always the same, asked just now.
        """
        with self._transaction():
            for number, stored in self._database.execute(
                "select id, answers from models where settings = ? order by id", (settings,)
            ).fetchall():
                first = np.frombuffer(stored, np.float32)
                if first.size == answers.size and _are_close(first, answers.ravel()):
                    first = first.reshape(answers.shape)
                    return number, first, float(np.nanmax(np.abs(first - answers), initial=0.0))
            made = self._database.execute(
                "insert into models (settings, answers) values (?, ?)", (settings, answers.tobytes())
            )
            assert made.lastrowid is not None
            return made.lastrowid, answers, 0.0

    def find(self, model: int, images: Sequence[bytes]) -> dict[bytes, Floats]:
        """Return the answers to those images, by their digests, that are known."""
        marks = ",".join("?" * len(images))
        with self._lock:
            rows = self._database.execute(
                f"select image, scores from answers where model = ? and image in ({marks})", (model, *images)
            ).fetchall()
        return {image: np.frombuffer(scores, np.float32) for image, scores in rows}

    def keep(self, model: int, answers: Mapping[bytes, Floats]) -> dict[bytes, Floats]:
        """Keep answers by the digests of their images; return them, or what another process heard first."""
        with self._transaction():
            self._database.executemany(
                "insert or ignore into answers values (?, ?, ?)",
                [(model, image, scores.tobytes()) for image, scores in answers.items()],
            )
        return self.find(model, list(answers))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")


def ledger_path(name: ServedName) -> Path:
    """Return the file that knows what a served network was asked."""
    digest = hashlib.sha256(f"{name.base}{name.path}".encode()).hexdigest()
    return cache_directory("served", f"{digest[:16]}.sqlite")


def asked_so_far(name: ServedName) -> int:
    """Return how many queries this machine has made of a served network; nobody is asked."""
    path = ledger_path(name)
    if not path.exists():
        return 0
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
    try:
        (asked,) = database.execute("select asked from account").fetchone()
    finally:
        database.close()
    return int(asked)


def _are_close(first: Floats, second: Floats) -> bool:
    scale = float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    return bool(np.allclose(first, second, rtol=0, atol=_CLOSE * scale, equal_nan=True))
