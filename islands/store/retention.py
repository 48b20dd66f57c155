"""Which commits stay readable: the newest, and those that a tag names.

Only the one writer may call these, and not within a commit: chunks of a commit under way look unused.
"""

from __future__ import annotations

from datetime import UTC, datetime

import icechunk


def commits_between_sweeps(keep: int) -> int:
    """Return after how many commits the writer sweeps: a sweep, which reads all commits, costs little."""
    return keep // 4 + 1


def most_on_disk(keep: int) -> int:
    """Return how many commits are on the disk at most where `keep` of them stay readable.

    What a sweep forgets is freed by the next, so that readers can finish; and more come meanwhile.
    """
    return keep + 2 * commits_between_sweeps(keep)


def forget(repository: icechunk.Repository, keep: int) -> int:
    """Drop all but the newest `keep` commits and the tagged ones from the history; return how many went."""
    commits = list(repository.ancestry(branch="main"))
    if len(commits) <= keep:
        return 0
    # Not the last of them alone: the clocks of the hosts that wrote them may differ.
    return len(repository.expire_snapshots(min(commit.written_at for commit in commits[:keep])))


def free(repository: icechunk.Repository, before: datetime) -> int:
    """Delete what is older than `before` and no commit of the history needs; return the bytes that gave."""
    freed: int = repository.garbage_collect(before).bytes_deleted
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
