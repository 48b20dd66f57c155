"""`launch`, `resume` and `plan`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from islands.classifiers.catalogue import served_parts
from islands.classifiers.hosts import allow_hosts, as_options
from islands.cli.background_commands import announce, watch
from islands.cli.closing import closing, closing_of_several
from islands.cli.options import AllowHost, Detach, Json, Overrides, ProgressStyle, Store
from islands.cli.status_command import status
from islands.errors import InputError, StoreError
from islands.observe.display import Style, observer
from islands.observe.interruptions import answered
from islands.observe.lines import say
from islands.texts import duration, islands_command

if TYPE_CHECKING:
    from islands.config import RunConfig
    from islands.deploy.background import BackgroundRun
    from islands.runs.plan import Plan
    from islands.store.reader import StoreReader

_NOTHING_WRITTEN = "Stopped before the first checkpoint; nothing was written."

File = Annotated[str, typer.Argument(metavar="FILE", help="A configuration, such as cluster/local.yaml.")]


def launch(
    file: File,
    overrides: Overrides = None,
    progress: ProgressStyle = None,
    as_json: Json = False,
    detach: Detach = False,
    view: Annotated[
        bool, typer.Option("--view", help="Serve the live page beside the run, and say its address.")
    ] = False,
    allow_host: AllowHost = None,
) -> None:
    """Start the experiment that FILE describes: one run, or several, and the other stages of its pipeline."""
    allow_hosts(allow_host or ())
    from islands.experiments.configure import load_run_config

    config = load_run_config(file, overrides or ())
    from islands.experiments.catalogue import PIPELINES

    pipeline = PIPELINES[config.pipeline]
    if view and (detach or pipeline.is_several or config.ray.is_job_server):
        raise InputError(
            "--view: this run is not one that goes on in this terminal;"
            f" look at it with {islands_command('view', config.store)}"
        )
    if config.ray.is_job_server and config.workers.executor == "ray":
        from islands.deploy import jobs

        _leave_or_watch(jobs.launch(config), detach)
        return
    if detach and pipeline.is_several:
        raise InputError("--detach: this file compares several runs; submit it as a job, or wait for it")
    if detach:
        from islands.deploy import detached

        announce(detached.launch(config))
        return
    began = time.monotonic()
    if pipeline.is_several:
        _run_experiment(config, progress, as_json, began)
        return
    from islands.runs import launch as operation
    from islands.store.location import Location

    with (
        stdout_for_result(),
        _viewing(config.store) if view else nullcontext(),
        observer(progress) as observe,
        _answering(config.store, _NOTHING_WRITTEN),
    ):
        reader = operation.launch(config, observe)
    # Findings of a served network would ask somebody's server about thousands of pictures more.
    concludes = pipeline.findings is not None and not served_parts(config.network.name)
    if reader.complete and concludes and Location.of(config.store).is_local:
        from islands.experiments.runner import run_experiment

        with stdout_for_result():
            run_experiment(config)
    _report(reader, as_json, began)


def _viewing(store: str) -> AbstractContextManager[None]:
    from islands.reports.server import serving

    return serving(store, lambda address: say(f"live page: {address}"))


def _run_experiment(config: RunConfig, progress: Style | None, as_json: bool, began: float) -> None:
    """Run what is missing of an experiment, and print what came out."""
    from islands.experiments.runner import run_experiment

    with stdout_for_result(), observer(progress) as observe:
        done = run_experiment(config, observe)
    if not done:
        print(f"stopped; the same command goes on with what is in {config.store}", file=sys.stderr)
        raise typer.Exit(130)
    if not as_json:
        if text := _read(config, "transfer.txt"):
            print(f"{text}\n", end="")
        print(closing_of_several(Path(config.store), time.monotonic() - began))
        return
    documents = {file: _read(config, f"{file}.json") for file in ("transfer", "findings")}
    print(json.dumps({name: json.loads(text) for name, text in documents.items() if text}))


def _read(config: RunConfig, name: str) -> str | None:
    path = Path(config.store) / name
    return path.read_text(encoding="utf-8") if path.is_file() else None


def resume(
    store: Store,
    overrides: Overrides = None,
    progress: ProgressStyle = None,
    as_json: Json = False,
    break_lock: Annotated[
        bool,
        typer.Option("--break-lock", help="Take the store from its writer, which cannot commit any more."),
    ] = False,
    detach: Detach = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="EPOCH",
            help="Go on from an earlier checkpoint: its epoch, tag or id. Later ones stay, under a tag.",
        ),
    ] = None,
    allow_host: AllowHost = None,
) -> None:
    """Go on with a run from its last checkpoint, or from an earlier one."""
    allow_hosts(allow_host or ())
    from islands.deploy import background

    server = background.job_server(store, overrides or ())
    arguments = [
        *(word for text in overrides or () if not text.startswith("ray.") for word in ("--set", text)),
        *(["--break-lock"] if break_lock else []),
        *(["--at", at] if at is not None else []),
        *as_options(),
    ]
    if server is not None:
        from islands.deploy import jobs

        _leave_or_watch(jobs.resume(server, store, arguments), detach)
        return
    if detach:
        from islands.deploy import detached

        announce(detached.resume(store, arguments))
        return
    from islands.runs import resume as operation

    stopped = "Stopped before anything new was written; the last checkpoint stands."
    began = time.monotonic()
    with stdout_for_result(), observer(progress) as observe, _answering(store, stopped):
        reader = operation.resume(store, overrides or (), observe, break_lock=break_lock, at=at)
    _report(reader, as_json, began)


def plan(
    file: File,
    overrides: Overrides = None,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Machines that share the workers.")] = 1,
    allow_host: AllowHost = None,
    as_json: Json = False,
) -> None:
    """Say what FILE would run, and how long that would take on machines like this one."""
    allow_hosts(allow_host or ())
    from islands.experiments.catalogue import PIPELINES
    from islands.experiments.configure import load_run_config, variants_of

    config = load_run_config(file, overrides or ())
    from islands.runs.plan import plan as estimate

    configs = [*variants_of(config).values()] or [config]
    with stdout_for_result():
        result = estimate(configs, PIPELINES[config.pipeline].stages, nodes)
    print(json.dumps(asdict(result)) if as_json else _plan_text(result))


@contextmanager
def stdout_for_result() -> Iterator[None]:
    """Send to stderr what is printed meanwhile: Ray's processes write to stdout, whatever their log level."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def _answering(store: str, starting: str) -> Iterator[None]:
    """Say what a Ctrl-C stops: `starting` before anything evolves, and what is left after the second."""
    try:
        with answered(starting) as has_answered:
            yield
    except KeyboardInterrupt:
        if not has_answered():
            say(_what_is_left(store))
        raise


def _what_is_left(store: str) -> str:
    from islands.store.reader import StoreReader

    try:
        epoch = StoreReader(store).epoch
    except StoreError:
        epoch = None
    if epoch is None:
        return _NOTHING_WRITTEN
    return f"Stopped; the checkpoint of epoch {epoch} stands: {islands_command('resume', store)}"


def _leave_or_watch(run: BackgroundRun, detach: bool) -> None:
    if detach:
        from islands.deploy import jobs

        jobs.wait_until_begun(run)
        announce(run)
    else:
        watch(run)


def _report(reader: StoreReader, as_json: bool, began: float) -> None:
    """Print what came of a run that began at a time of the monotonic clock."""
    if as_json:
        status(str(reader.path), as_json)
    else:
        print(closing(str(reader.path), time.monotonic() - began))
    if not reader.complete:
        raise typer.Exit(130)


def _plan_text(result: Plan) -> str:
    rows = {
        "stages": ", ".join(result.stages),
        "engine": result.engine,
        "archives": f"{result.runs} of {result.classes} classes",
        "islands": f"{result.islands} a run, on {result.workers} workers",
        "generations": f"{result.generations:,} on each island",
        "images scored": f"{result.evaluations:,}",
        "forward passes": f"{result.forwards:,}",
        "estimated time": duration(result.seconds) if result.seconds else f"unknown: {result.unmeasured}",
        "archive": f"{result.archive_bytes / 1e6:,.1f} MB uncompressed",
        "store": f"at most {result.store_bytes / 1e6:,.1f} MB, with the commits that are kept and records",
        "memory": (
            f"{result.worker_bytes / 1e6:,.0f} MB a worker, {result.driver_bytes / 1e6:,.1f} MB the driver"
        ),
        "network": (
            f"{result.network_bytes / 1e6:,.1f} MB an epoch at first, later a fraction"
            + (f"; an epoch takes {duration(result.epoch_seconds)}" if result.epoch_seconds else "")
        ),
        "nodes": (
            f"{result.nodes}: {result.node_bytes / 1e6:,.0f} MB of memory on the fullest, "
            f"{result.between_bytes / 1e6:,.1f} MB an epoch between them at first"
        ),
    }
    return "\n".join(f"{name:<16}{value}" for name, value in rows.items())
