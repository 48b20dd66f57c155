"""Who writes to a store: a process, told from all others that had its number or will have it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_LARGEST_PID = 2**31 - 1


class Owner(NamedTuple):
    """The process that writes, or wrote last.

    Attributes:
        pid: its number, which the system gives again when the process is gone.
        host: the name of the machine, or of the container.
        boot: what tells one start of that machine from the next; empty where unknown.
        started: when the process began, in the system's own words; empty where unknown.
        nonce: drawn when the lock was taken.
    """

    pid: int
    host: str
    boot: str = ""
    started: str = ""
    nonce: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it is, or was, a process of this machine since it was started."""
        return self.host == socket.gethostname() and self.boot in ("", _boot())


def this_process() -> Owner:
    """Return this process as the owner of a lock that it takes now."""
    pid = os.getpid()
    return Owner(pid, socket.gethostname(), _boot(), _started(pid), secrets.token_hex(8))


def parse(said: Any) -> Owner | None:
    """Return the owner that a lock names, if any; older locks give number and host alone."""
    if not isinstance(said, Mapping):
        return None
    known = {name: said[name] for name in Owner._fields if name in said}
    # To `kill`, 0 and negative numbers mean groups of processes, and larger ones do not fit.
    match known:
        case {"pid": int(pid), "host": str(), **rest} if 0 < pid <= _LARGEST_PID:
            return Owner(**known) if all(isinstance(value, str) for value in rest.values()) else None
    return None


def is_alive(owner: Owner) -> bool:
    """Tell whether that very process still runs; one on another host counts as running."""
    return owner.host != socket.gethostname() or is_alive_here(owner)


def is_alive_here(owner: Owner) -> bool:
    """Tell whether that very process runs on this machine; of an older lock, whether its number is in use."""
    if not owner.is_of_this_machine or not _exists(owner.pid):
        return False
    return owner.started in ("", _started(owner.pid))


def has_open(owner: Owner, path: Path) -> bool:
    """Tell whether the process has a file open; true where the system does not say."""
    try:
        wanted = path.stat()
        descriptors = list(Path(f"/proc/{owner.pid}/fd").iterdir())
    except OSError:
        return True
    return any(_is(descriptor, wanted) for descriptor in descriptors)


def _is(descriptor: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(descriptor.stat(), wanted)
    except OSError:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's, but there.
        return True
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process began: in ticks since the machine did, or without /proc as `ps` says it."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _started_by_ps(pid)
    # The program's name, in parentheses, may have spaces and parentheses itself. Behind it come state and,
    # 19 fields on, the time of the start (proc(5)). A zombie has a number, but writes nothing.
    state, *fields = said.rpartition(")")[2].split()
    return fields[18] if state not in "ZX" else "ended"


def _started_by_ps(pid: int) -> str:
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    # The words are compared: they must not depend on who asks.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return " ".join(done.stdout.split())
