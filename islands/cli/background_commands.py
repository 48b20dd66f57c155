"""`logs` and `stop`: what one does with a run that goes on by itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from islands.cli.store_commands import Store
from islands.errors import InputError, IslandsError

if TYPE_CHECKING:
    from islands.deploy.background import Note


def logs(
    store: Store,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
) -> None:
    """Show what a run in the background says."""
    from islands.deploy import background, detached, jobs

    note = background.recall(store)
    if note is None:
        raise InputError(
            f"no run with --detach or as a job was started from here for {store}; "
            f"`islands status {store}` says where it stands"
        )
    if note.address is None:
        for line in detached.lines(note, follow=follow):
            print(line, end="", flush=True)
    elif follow:
        watch(note)
    else:
        print(jobs.log(note), end="")


def stop(store: Store) -> None:
    """Let a run commit and end; `resume` goes on with it."""
    from islands.deploy import background, detached, jobs

    note = background.recall(store)
    job = jobs.find(note) if note is not None and note.address else None
    again = f"islands resume {store}"
    if note is not None and job is not None and job.state in ("PENDING", "RUNNING"):
        state = jobs.stop(note).lower()
        print(f"{note}: {state}; to go on: {again if jobs.can_be_resumed(note) else 'launch it again'}")
    else:
        print(f"asked {detached.stop(store)} to commit and end; to go on: {again}")


def watch(note: Note) -> None:
    """Show the log of a job on stderr until it ends; a Ctrl-C stops the showing, not the job."""
    from islands.deploy import jobs

    try:
        state = jobs.follow(note, lambda text: print(text, end="", file=sys.stderr, flush=True))
    except KeyboardInterrupt:
        announce(note)
        return
    if state == "STOPPED":
        raise typer.Exit(130)
    if state == "FAILED":
        raise IslandsError(f"{note} failed; its log says why: islands logs {note.store}")


def announce(note: Note) -> None:
    """Say where a run goes on, and what one can do with it."""
    store = note.store
    print(f"{store} goes on as {note}")
    print(f"islands status {store}; islands logs {store} --follow; islands stop {store}")
