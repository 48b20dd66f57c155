"""Runs as jobs of a Ray cluster: the driver runs there too, so a closed laptop stops nothing."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from islands.archipelago.ray_session import refused, warn_if_open
from islands.classifiers.hosts import as_options
from islands.config import RayConfig, RunConfig
from islands.config.own_code import files_of, write_files
from islands.deploy.background import PATIENCE_S, BackgroundRun, error_of, remember
from islands.errors import ConfigError, InputError, IslandsError, StoreError
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import as_written
from islands.observe import PROGRESS
from islands.store.location import Location
from islands.store.reader import StoreReader

STOP_WAIT_S = 300
"""Seconds in which a stopped run may commit; Ray's own default is 3."""

_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_POLL_S = 0.5


@dataclass(frozen=True)
class Job:
    """A job of ours on a server.

    Attributes:
        id: the submission's.
        store: that it writes.
        state: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: what Ray says of it.
        started: ISO 8601; None before.
    """

    id: str
    store: str
    state: str
    message: str
    started: str | None


def launch(config: RunConfig) -> BackgroundRun:
    """Submit `config` to the job server at `ray.address`, and return when its driver runs.

    Raises:
        ConfigError: the server does not answer or refuses the job, or the store would not outlive it.
        IslandsError: the job failed at once.
    """
    _require_lasting(config.store)
    ray = _with_own_code(config)
    there = config.model_copy(update={"ray": RayConfig(address="auto")})
    settings = shlex.quote(json.dumps(as_written(there)))
    words = shlex.join(["launch", "-", *as_options()])
    command = f"echo {settings} | python -m islands {words} --progress plain"
    resumable = False if PIPELINES[config.pipeline].is_several else None
    return _submit(ray, config.store, command, resumable)


def resume(ray: RayConfig, store: str, arguments: Sequence[str]) -> BackgroundRun:
    """Submit a resume of `store`; see `launch`."""
    _require_lasting(store)
    # A store that only the cluster can read does not say here what code it needs.
    with suppress(StoreError):
        ray = _with_own_code(StoreReader(store).config.model_copy(update={"ray": ray}))
    words = ("python", "-m", "islands", "resume", store, *arguments, "--set", "ray.address=auto")
    return _submit(ray, store, shlex.join((*words, "--progress", "plain")), resumable=True)


def follow(run: BackgroundRun, show: Callable[[str], None]) -> str:
    """Show the log of a job until it ends, and return its state then; a Ctrl-C leaves the job alone."""
    client = _client(_address(run))

    async def read() -> None:
        pieces: AsyncIterator[str] = client.tail_job_logs(run.job)
        async for piece in pieces:
            show(piece)

    asyncio.run(read())
    return _wait(client, run.job, _ENDED)


def wait_until_begun(run: BackgroundRun) -> None:
    """Return when the run of a job evolves, has ended, or takes very long to start.

    Of an experiment of several runs, whose first stage may be another, return at once.

    Raises:
        IslandsError: it failed before that; the message is its own.
    """
    client, deadline = _client(_address(run)), time.monotonic() + PATIENCE_S
    while run.resumable is not False and time.monotonic() < deadline:
        state, said = str(client.get_job_status(run.job).value), client.get_job_logs(run.job)
        if state == "FAILED":
            raise IslandsError(error_of(said) or f"{run} failed: {client.get_job_info(run.job).message}")
        if state in _ENDED or _evolves(said):
            return
        time.sleep(_POLL_S)


def can_be_resumed(run: BackgroundRun) -> bool:
    """Tell whether `resume` goes on with a job; otherwise it is launched again."""
    return _evolves(log(run)) if run.resumable is None else run.resumable


def _evolves(log: str) -> bool:
    return any(line.startswith(PROGRESS) for line in log.splitlines())


def log(run: BackgroundRun) -> str:
    """Return what a job has written so far."""
    text: str = _client(_address(run)).get_job_logs(run.job)
    return text


def stop(run: BackgroundRun) -> str:
    """Ask a job to commit and end, wait for that, and return its state."""
    client = _client(_address(run))
    client.stop_job(run.job)
    return _wait(client, run.job, _ENDED)


def job_of(run: BackgroundRun) -> Job | None:
    """Return the job of a run; None if the server does not know it any more."""
    return next((job for job in jobs(_address(run)) if job.id == run.job), None)


def jobs(address: str) -> list[Job]:
    """Return all runs of Islands that a job server knows, the oldest first.

    Raises:
        ConfigError: no server answers.
    """
    found = [
        details for details in _client(address).list_jobs() if "islands_store" in (details.metadata or {})
    ]
    return [
        Job(
            id=details.submission_id,
            store=details.metadata["islands_store"],
            state=str(details.status.value),
            message=details.message or "",
            started=_time(details.start_time),
        )
        for details in sorted(found, key=lambda details: details.start_time or 0)
    ]


def _with_own_code(config: RunConfig) -> RayConfig:
    """Return where to submit a job, with somebody else's code of `config` in the folder that goes with it.

    A folder of the user's own, `working_dir`, has it already.
    """
    ray = config.ray
    files = {} if "working_dir" in ray.runtime_env else files_of(config)
    if not files:
        return ray
    folder = Path(tempfile.mkdtemp(prefix="islands-")) / "code"
    write_files(folder, files)
    return ray.model_copy(update={"runtime_env": {**ray.runtime_env, "working_dir": str(folder)}})


def _submit(ray: RayConfig, store: str, command: str, resumable: bool | None) -> BackgroundRun:
    client = _client(ray.address)
    if _is_open(ray.address):
        warn_if_open(ray.address)
    try:
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), **ray.runtime_env.get("env_vars", {})}
        job: str = client.submit_job(
            entrypoint=command,
            submission_id=f"islands-{secrets.token_hex(4)}",
            runtime_env={**ray.runtime_env, "env_vars": variables},
            metadata={"islands_store": store},
        )
    except (ValueError, TypeError) as error:
        raise ConfigError(f"ray.runtime_env: Ray cannot use it: {_first_line(error)}") from error
    except RuntimeError as error:
        raise ConfigError(
            f"ray.address: {ray.address} cannot start the job: {_first_line(error)}; look into "
            "/tmp/ray/session_latest/logs on its head, or try again"
        ) from error
    run = BackgroundRun(store, ray.address, job, resumable=resumable)
    remember(run)
    if _wait(client, job, ("RUNNING", *_ENDED)) == "FAILED":
        raise IslandsError(f"{run} failed: {client.get_job_info(job).message}")
    return run


def _wait(client: Any, job: str, states: Sequence[str]) -> str:
    while True:
        state = str(client.get_job_status(job).value)
        if state in states:
            return state
        time.sleep(_POLL_S)


def _client(address: str) -> Any:
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        return JobSubmissionClient(address)
    except AuthenticationError:
        raise refused(address) from None
    except ConnectionError as error:
        raise ConfigError(
            f"ray.address: no job server answers at {address} ({_first_line(error)}); it is the dashboard of "
            "a cluster that was started with `ray start --head` from ray[default]"
        ) from None
    except RuntimeError as error:
        if "ray[default]" in str(error):
            raise InputError("jobs need more of Ray: pip install 'islands[jobs]'") from None
        raise ConfigError(f"ray.address: {address}: {_first_line(error)}") from None


def _is_open(address: str) -> bool:
    """Tell whether a job server takes requests without a token."""
    try:
        urllib.request.urlopen(f"{address}/api/jobs/", timeout=10).close()
    except OSError:
        return False
    return True


def _require_lasting(store: str) -> None:
    location = Location.of(store)
    if location.is_local and not location.path.is_absolute():
        raise ConfigError(
            f"store: got {store}, but a job's own folder goes with the job; expected a URL such as "
            "s3://BUCKET/PREFIX, or an absolute path that the head of the cluster can write"
        )


def _address(run: BackgroundRun) -> str:
    if run.address is None:
        raise InputError(f"{run.store} is written by {run}, not by a job")
    return run.address


def _time(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
