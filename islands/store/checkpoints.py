"""Which checkpoints a store has, and which of them is meant by an epoch, a tag or an id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import icechunk

from islands.errors import InputError, StoreDamagedError
from islands.evolution.checkpoint import WorkerHealth
from islands.store.location import SNAPSHOTS, Location
from islands.store.repository import reading
from islands.texts import islands_command

_LISTED = 12


class CheckpointInfo(NamedTuple):
    """One commit of the store that holds a checkpoint."""

    id: str
    """The Icechunk snapshot."""
    epoch: int
    written_at: datetime
    message: str
    median_confidence: float
    """Over all cells of all runs, empty ones as 0."""
    evaluations: int
    """Images scored so far, all runs together."""
    tags: tuple[str, ...]
    """Names that keep the commit for good."""
    workers: tuple[WorkerHealth, ...] = ()
    """How each worker got on until then; empty where nobody noted it, as in stores of before."""


def list_checkpoints(path: Location | Path, repository: icechunk.Repository) -> list[CheckpointInfo]:
    """Return all checkpoints that are kept, the oldest first.

    Raises:
        StoreDamagedError: the list cannot be read.
    """
    with reading(path, "the list of checkpoints"):
        tags = _tags(repository)
        commits = [*repository.ancestry(branch="main")]
        for snapshot in tags:
            # What a tag keeps may have gone from the history of the branch, with what came before.
            commits += repository.ancestry(snapshot_id=snapshot)
        return _checkpoints(commits, tags)


def find_checkpoints(path: Location | Path, repository: icechunk.Repository) -> list[CheckpointInfo]:
    """Return like `list_checkpoints` those that can be read; in a damaged bucket only what its tags keep."""
    try:
        return list_checkpoints(path, repository)
    except StoreDamagedError:
        with reading(path, "the list of tags"):
            tags = _tags(repository)
    location = Location.of(path)
    # Only a commit says which came before it: after a damaged one, what is on the disk says which there are.
    names = [file.name for file in (location.path / SNAPSHOTS).iterdir()] if location.is_local else tags
    commits = []
    for name in names:
        with suppress(StoreDamagedError), reading(path, f"commit {name}"):
            commits.append(next(iter(repository.ancestry(snapshot_id=name))))
    return _checkpoints(commits, tags)


def open_checkpoint(
    path: Location | Path, repository: icechunk.Repository, at: str | int | None
) -> icechunk.Session:
    """Return a session that reads one commit.

    Args:
        path: of the store, for errors.
        repository: of the store.
        at: the epoch, a tag or the id of a checkpoint, or `nearest:EPOCH`; None: the latest commit, with a
            checkpoint or without.

    Raises:
        InputError: there is no checkpoint `at`.
        StoreDamagedError: it cannot be read.
    """
    if at is None:
        with reading(path, "the latest commit"):
            return repository.readonly_session("main")
    checkpoints = find_checkpoints(path, repository)
    wanted = _nearest(checkpoints, str(at))
    found = [info.id for info in checkpoints if wanted in (info.id, str(info.epoch), *info.tags)]
    if not found:
        epochs = sorted({info.epoch for info in checkpoints})
        raise InputError(
            f"{path} has no checkpoint {at}; there are those of epochs {_listed(epochs)}"
            f" (nearest:{at if str(at).isdecimal() else 'EPOCH'} takes the one that is nearest):"
            f" {islands_command('query', path, 'select epoch, id from checkpoints')} lists them,"
            " and the table curves has confidences at every epoch"
            if epochs
            else f"{path} has no checkpoint {at}; it has none yet"
        )
    with reading(path, f"checkpoint {at}"):
        # An epoch may have several commits, for scores come later: the last is meant.
        return repository.readonly_session(snapshot_id=found[-1])


def _health(said: Mapping[str, Any]) -> WorkerHealth:
    return WorkerHealth(**{**said, "islands": tuple((run, island) for run, island in said["islands"])})


def _nearest(checkpoints: Sequence[CheckpointInfo], at: str) -> str:
    """Return the epoch that `nearest:EPOCH` means, of two the earlier; other texts as they are."""
    kind, _, epoch = at.partition(":")
    if kind != "nearest" or not epoch.isdecimal() or not checkpoints:
        return at
    return str(min(sorted({info.epoch for info in checkpoints}), key=lambda each: abs(each - int(epoch))))


def _listed(epochs: Sequence[int]) -> str:
    if len(epochs) <= _LISTED:
        return ", ".join(map(str, epochs))
    return f"{', '.join(map(str, epochs[: _LISTED - 1]))}, … {epochs[-1]} ({len(epochs)} in all)"


def _tags(repository: icechunk.Repository) -> dict[str, list[str]]:
    """Return the names of each commit that has any."""
    tags: dict[str, list[str]] = {}
    for tag in sorted(repository.list_tags()):
        tags.setdefault(repository.lookup_tag(tag), []).append(tag)
    return tags


def _checkpoints(
    commits: Iterable[icechunk.SnapshotInfo], tags: Mapping[str, list[str]]
) -> list[CheckpointInfo]:
    entries = {entry.id: entry for entry in commits}
    return [
        CheckpointInfo(
            id=entry.id,
            epoch=int(entry.metadata["epoch"]),
            written_at=entry.written_at,
            message=entry.message,
            median_confidence=float(entry.metadata["median_confidence"]),
            evaluations=int(entry.metadata["evaluations"]),
            tags=tuple(tags.get(entry.id, ())),
            workers=tuple(map(_health, entry.metadata.get("workers", ()))),
        )
        for entry in sorted(entries.values(), key=lambda entry: entry.written_at)
        # The commit that made the store holds no checkpoint.
        if "epoch" in entry.metadata
    ]
