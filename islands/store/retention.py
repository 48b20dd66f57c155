"""Which commits stay readable: the newest, and those that a tag names.

Only the one writer may call these, and not within a commit: chunks of a commit under way look unused.
"""

from __future__ import annotations

from datetime import UTC, datetime

import icechunk


def forget(repository: icechunk.Repository, keep: int) -> int:
    """Drop all but the newest `keep` commits and the tagged ones from the history; return how many went."""
    commits = list(repository.ancestry(branch="main"))
    if len(commits) <= keep:
        return 0
    return len(repository.expire_snapshots(commits[keep - 1].written_at))


def free(repository: icechunk.Repository, before: datetime | None = None) -> int:
    """Delete what no commit of the history needs and was written `before`, or by now; return its bytes."""
    freed: int = repository.garbage_collect(before or datetime.now(UTC)).bytes_deleted
    return freed


def tag_once(repository: icechunk.Repository, name: str, snapshot: str) -> None:
    """Name a commit, so that it is never forgotten; a name that is taken stays where it is."""
    if name not in repository.list_tags():
        repository.create_tag(name, snapshot)


def try_to_free(repository: icechunk.Repository) -> None:
    """Read all that `free` would read, and delete nothing."""
    repository.garbage_collect(datetime.now(UTC), dry_run=True)


def left_tag(snapshot: str) -> str:
    """Return the tag of a commit at which the branch once ended."""
    return f"left-{snapshot[:8].lower()}"
