"""Runs as processes of this machine that outlive the terminal.

Such a process holds a lock on its log, which it inherits with the open file: the lock ends when it does.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from islands.classifiers.hosts import as_options
from islands.config import RunConfig
from islands.deploy.background import PATIENCE_S, BackgroundRun, error_of, remember
from islands.errors import InputError, IslandsError, StoreError, StoreLockedError
from islands.experiments.configure import as_written
from islands.store.location import Location
from islands.store.owner import Owner
from islands.store.reader import StoreReader
from islands.texts import islands_command

_POLL_S = 0.2


def launch(config: RunConfig) -> BackgroundRun:
    """Start `config` in a process of its own, and return when it has made its store.

    Raises:
        IslandsError: it ended before that; the message is its own.
    """
    return _start(config.store, ("launch", "-", *as_options()), json.dumps(as_written(config)))


def resume(store: str, arguments: Sequence[str]) -> BackgroundRun:
    """Resume `store` in a process of its own, and return when it writes; see `launch`."""
    return _start(store, ("resume", store, *arguments), "")


def stop(store: str) -> Owner:
    """Ask the process that writes to `store` to commit and end; return which it was.

    Raises:
        InputError: nothing writes to the store, or something on another host or of another user.
    """
    reader = StoreReader(store)
    owner = reader.writer
    if owner is not None and not owner.is_of_this_machine:
        raise InputError(f"{store} is written by {owner}; stop it there: kill -TERM {owner.pid}")
    try:
        asked = owner is not None and _terminate(owner, lambda: reader.writer == owner)
    except PermissionError:
        raise InputError(f"{store} is written by {owner} of another user, who alone may stop it") from None
    if owner is None or not asked:
        raise InputError(
            f"nothing writes to {store}; `{islands_command('status', store)}` says where it stands"
        )
    return owner


def _terminate(owner: Owner, writes: Callable[[], bool]) -> bool:
    """Send SIGTERM to a process if it `writes`: asked when its number cannot go to another any more."""
    try:
        process = os.pidfd_open(owner.pid) if hasattr(os, "pidfd_open") else None
    except ProcessLookupError:
        return False
    except OSError:  # a kernel without it
        process = None
    try:
        if not writes():
            return False
        if process is None:
            os.kill(owner.pid, signal.SIGTERM)
        else:
            signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return False
    finally:
        if process is not None:
            os.close(process)
    return True


def lines(run: BackgroundRun, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a process's log; `follow`: until the process ends."""
    with Path(run.log).open(encoding="utf-8", errors="replace") as file:
        while True:
            running = follow and not _lock(file)
            yield from file
            if not running:
                return
            time.sleep(_POLL_S)


def _start(store: str, arguments: Sequence[str], configuration: str) -> BackgroundRun:
    log = _log_file(store)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        if not _lock(output):
            raise StoreLockedError(
                f"a run in the background still goes on: {islands_command('logs', store, '--follow')}"
            )
        output.truncate(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "islands", *arguments, "--progress", "plain"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    assert process.stdin is not None
    process.stdin.write(configuration)
    process.stdin.close()
    run = BackgroundRun(store, log=str(log.absolute()))
    remember(run)
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if _writes(process.pid, store):
            return run
        time.sleep(_POLL_S)
    if process.returncode:
        error = InputError if process.returncode == 2 else IslandsError
        raise error(error_of(log.read_text(encoding="utf-8")) or f"the run failed; see {log}")
    return run


def _lock(file: IO[str]) -> bool:
    """Lock a log until `file` is closed by all that have it; False where another process has locked it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _writes(pid: int, store: str) -> bool:
    try:
        owner = StoreReader(store).writer
    except StoreError:  # not there yet, or half made
        return False
    return owner is not None and owner.is_of_this_machine and owner.pid == pid


def _log_file(store: str) -> Path:
    location = Location.of(store)
    return Path(f"{store}.log") if location.is_local else Path(f"{location.name}.log")
