"""`status`: where a run stands, or each run of a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from islands.cli.options import Json
from islands.cli.printed import print_aligned
from islands.errors import InputError, StoreError, StoreNotFoundError
from islands.texts import islands_command, level, percent

if TYPE_CHECKING:
    from islands.deploy.background import BackgroundRun
    from islands.evolution.checkpoint import WorkerHealth
    from islands.store.status import Status


_WATCH_S = 2.0
"""Seconds between two looks at a store that is watched."""


def status(
    store: Annotated[
        str,
        typer.Argument(
            metavar="STORE",
            help="The folder of a run, one that holds several, an s3:// URL, or http://HOST:8265: jobs.",
        ),
    ],
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on saying so until nobody writes; Ctrl-C ends it.")
    ] = False,
) -> None:
    """Say where a run stands, and what to do next; of a folder of runs, where each stands."""
    if watch:
        _watch(store, as_json)
        return
    from dataclasses import asdict

    from islands.deploy import background
    from islands.store.status import read_status

    if store.startswith(("http://", "https://")):
        _print_jobs(store, as_json)
        return
    started = background.recall(store)
    job = _job(started) if started is not None and started.address is not None else None
    try:
        found = read_status(store)
    except StoreNotFoundError:
        # The store of a job may lie where only the cluster sees it.
        if job is None:
            if not Path(store).is_dir():
                raise
            _print_folder(Path(store), as_json)
            return
        print(json.dumps({"store": store, "job": job}) if as_json else _job_text(store, job))
        return
    if as_json:
        print(json.dumps({**asdict(found), "settings": _unlike_defaults(store), "job": job}))
    else:
        print("\n".join([_status_text(found), *([_job_text(store, job)] if job else [])]))


def _watch(store: str, as_json: bool) -> None:
    """Draw the status of a store anew until nobody writes it any more."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from islands.store.status import read_status

    if as_json or store.startswith(("http://", "https://")):
        raise InputError("--watch is for a store and for people; `islands view` and --json are for programs")
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            found = read_status(store)
            live.update(Text(_status_text(found)), refresh=True)
            if found.written_by is None:
                return
            time.sleep(_WATCH_S)


def _print_folder(folder: Path, as_json: bool) -> None:
    """Print a line for each store in a folder; one that cannot be read says why in its place."""
    from dataclasses import asdict

    from islands.store.query import Table
    from islands.store.status import read_status, stores_in

    stores = stores_in(folder)
    if not stores:
        raise StoreNotFoundError(f"{folder} is no store, and there is none in it")
    found: list[Status | str] = []
    for each in stores:
        try:
            found.append(read_status(each))
        except StoreError as error:
            found.append(str(error).partition("\n")[0])
    names = [str(each.relative_to(folder)) for each in stores]
    if as_json:
        rows = [
            {"store": str(store), "error": status} if isinstance(status, str) else asdict(status)
            for store, status in zip(stores, found, strict=True)
        ]
        print(json.dumps(rows))
        return
    head = ("name", "network", "epoch", "images", "median", f"at {level(0.9)}", "state")
    print_aligned(Table(head, [_folder_row(*each) for each in zip(names, found, strict=True)]))


def _folder_row(name: str, found: Status | str) -> tuple[str, ...]:
    if isinstance(found, str):
        return (name, "", "", "", "", "", f"cannot be read: {found}")
    return (
        name,
        found.network,
        f"{0 if found.epoch is None else found.epoch} of {found.epochs}",
        f"{found.evaluations:,}",
        "" if found.epoch is None else percent(found.median_confidence),
        f"{found.cells_at['cells_90']:,} of {found.cells:,}",
        _state(found),
    )


def _status_text(found: Status) -> str:
    from rich.filesize import decimal

    from islands.store.schema import THRESHOLDS

    settings = _unlike_defaults(found.store)
    state = _state(found)
    sure = ", ".join(f"{count:,} at {level(THRESHOLDS[name])}" for name, count in found.cells_at.items())
    median, at_start = percent(found.median_confidence), percent(found.median_at_start)
    rows = {
        "store": found.store,
        "experiment": f"{found.pipeline}, fooling {found.network}",
        "state": f"{state}, written by {found.written_by}" if found.written_by else state,
        "epoch": "none yet" if found.epoch is None else str(found.epoch),
        "generations": f"{found.generation:,} of {found.generations:,}",
        "confidence": f"median {median}; generation 0: {at_start}",
        "classes": f"{sure} (of {found.cells:,} in {found.runs} run{'s' if found.runs > 1 else ''})",
        "QD score": f"{found.qd_score:,.2f} of {found.cells}, coverage {percent(found.coverage)}",
        "images scored": f"{found.evaluations:,}"
        + (f", {found.not_finite:,} of them skipped: no finite scores" if found.not_finite else ""),
        "checkpoints": f"{found.checkpoints}, the last {found.last_written or 'not yet'}",
        **({"workers": _workers_text(found.workers)} if found.workers and not found.complete else {}),
        "size on disk": decimal(found.bytes),
        "computed with": _conditions_text(found.conditions),
        **_queries_rows(found.queries),
        "settings": ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
        or "those of the pipeline",
        "next": found.next,
    }
    return "\n".join(f"{name:<15}{value}" for name, value in rows.items())


def _workers_text(workers: Sequence[WorkerHealth]) -> str:
    """Say how each worker got on until the last checkpoint, a line each."""
    from islands.store.health import tell

    lines = [
        f"{each.worker}: {each.islands}, {each.rate}, {each.lost}, last epoch {each.last}"
        for each in tell(workers, datetime.now(UTC))
    ]
    return f"\n{'':<15}".join(lines)


def _state(found: Status) -> str:
    return "complete" if found.complete else "running" if found.written_by else "stopped"


def _conditions_text(conditions: Sequence[Mapping[str, Any]]) -> str:
    from islands.store.columns import changes

    first = ", ".join(f"{name} {value}" for name, value in conditions[0].items() if name != "epoch")
    return "; from ".join([first, *changes(conditions)])


def _queries_rows(queries: Mapping[str, int]) -> dict[str, str]:
    said = [f"{name}: {asked:,} asked from the machine by then" for name, asked in queries.items()]
    return {"queries": "; ".join(said)} if said else {}


def _unlike_defaults(store: str) -> dict[str, Any]:
    from islands.experiments.configure import unlike_defaults
    from islands.store.reader import StoreReader

    return unlike_defaults(StoreReader(store).config)


def _print_jobs(address: str, as_json: bool) -> None:
    from dataclasses import asdict

    from islands.deploy.jobs import jobs
    from islands.store.query import Table

    found = [asdict(job) for job in jobs(address)]
    if as_json:
        print(json.dumps(found))
    else:
        columns = ("id", "state", "started", "store")
        print_aligned(Table(columns, [tuple(job[name] for name in columns) for job in found]))


def _job(started: BackgroundRun) -> dict[str, str | None]:
    """Return what the server says of a job, or why it says nothing."""
    from islands.deploy.jobs import job_of

    try:
        job = job_of(started)
        state, message = (job.state, job.message) if job else ("forgotten", "the server has no such job")
    except InputError as error:
        state, message = "unknown", str(error)
    return {"id": started.job, "address": started.address, "state": state, "message": message}


def _job_text(store: str, job: dict[str, str | None]) -> str:
    rows = {
        "job": f"{job['id']} at {job['address']}: {job['state']}",
        "": job["message"],
        "log": islands_command("logs", store, "--follow"),
    }
    return "\n".join(f"{name:<15}{value}" for name, value in rows.items())
