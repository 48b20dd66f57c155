"""`logs` and `stop`: what one does with a run that goes on by itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.options import Store
from islands.errors import InputError, IslandsError
from islands.texts import islands_command

if TYPE_CHECKING:
    from islands.deploy.background import BackgroundRun


def logs(
    store: Store,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
) -> None:
    """Show what a run in the background says."""
    from islands.deploy import background, detached, jobs

    run = background.recall(store)
    if run is None:
        raise InputError(
            f"no run with --detach or as a job was started from here for {store}; "
            f"`{islands_command('status', store)}` says where it stands"
        )
    if run.address is None:
        for line in detached.lines(run, follow=follow):
            print(line, end="", flush=True)
    elif follow:
        watch(run)
    else:
        print(jobs.log(run), end="")


def stop(store: Store) -> None:
    """Let a run commit and end; `resume` goes on with it."""
    from islands.deploy import background, detached, jobs

    run = background.recall(store)
    job = jobs.job_of(run) if run is not None and run.address else None
    again = islands_command("resume", store)
    if run is not None and job is not None and job.state in ("PENDING", "RUNNING"):
        state = jobs.stop(run).lower()
        print(f"{run}: {state}; to go on: {again if jobs.can_be_resumed(run) else 'launch it again'}")
    else:
        print(f"asked {detached.stop(store)} to commit and end; to go on: {again}")


def watch(run: BackgroundRun) -> None:
    """Show the log of a job on stderr until it ends; a Ctrl-C stops the showing, not the job."""
    from islands.deploy import jobs

    try:
        state = jobs.follow(run, lambda text: print(text, end="", file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        announce(run)
        return
    if state == "STOPPED":
        raise typer.Exit(130)
    if state == "FAILED":
        raise IslandsError(f"{run} failed; its log says why: {islands_command('logs', run.store)}")


def announce(run: BackgroundRun) -> None:
    """Say where a run goes on, and what one can do with it."""
    store = run.store
    print(f"{store} goes on as {run}")
    commands = ("status", store), ("logs", store, "--follow"), ("stop", store)
    print("; ".join(islands_command(*words) for words in commands))
