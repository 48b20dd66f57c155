"""Runs that go on without the terminal that started them, and how they are found again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from islands.config import RayConfig
from islands.config.resolve import resolve_ray_config
from islands.folders import state_directory
from islands.store.location import Location

PATIENCE_S = 300.0
"""Seconds for which the beginning of a run is waited for."""


@dataclass(frozen=True)
class BackgroundRun:
    """What is known of a background run.

    Attributes:
        store: as the run was given it.
        address: of the job server; None: a process of this machine.
        job: the submission's id; empty for a process.
        log: the file that a process writes; empty for a job, whose log the server has.
        resumable: whether `resume` goes on with it, or a second launch; None: as soon as it evolves.
    """

    store: str
    address: str | None = None
    job: str = ""
    log: str = ""
    resumable: bool | None = None

    def __str__(self) -> str:
        return f"job {self.job} at {self.address}" if self.address else f"a process that writes {self.log}"


def remember(run: BackgroundRun) -> None:
    """Note a run; one of the same store before it is forgotten."""
    file = _file(run.store)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(run)), encoding="utf-8")


def recall(store: str) -> BackgroundRun | None:
    """Return what is known of the latest background run that was started from here for `store`."""
    try:
        return BackgroundRun(**json.loads(_file(store).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def job_server(store: str, overrides: Sequence[str]) -> RayConfig | None:
    """Return where to submit a resume: to the server that `--set ray.address` names, or that of the last job.

    Raises:
        ConfigError: an override of `ray` is wrong.
    """
    run = recall(store)
    address = {} if run is None or run.address is None else {"address": run.address}
    chosen = [text for text in overrides if text.startswith(("ray.", "ray="))]
    ray = resolve_ray_config(address, chosen)
    return ray if ray.is_job_server else None


def error_of(log: str) -> str | None:
    """Return what a run that failed says of it in its log, if it says anything."""
    said = [line.removeprefix("error: ") for line in log.splitlines() if line.startswith("error: ")]
    return "\n".join(said) or None


def _file(store: str) -> Path:
    location = Location.of(store)
    name = os.fspath(location.path.absolute()) if location.is_local else location.text
    return state_directory() / "runs" / f"{sha256(name.encode()).hexdigest()[:24]}.json"
