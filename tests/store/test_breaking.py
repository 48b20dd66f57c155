"""A lock that is broken at whatever moment: the old writer commits no more, and nothing is damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icechunk
import pytest

import islands.store.lock
from islands.config import CheckpointConfig
from islands.errors import StoreLockedError
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes
from tests.store.object_storage import BUCKET, environment
from tests.store.samples import FINGERPRINT, make_checkpoint, make_config, make_names

ROOT = Path(__file__).parents[2]

POINTS = (
    ("repository", "writable_session", 0),
    ("store", "set", 9),
    ("session", "commit", 0),
    ("repository", "create_tag", 0),
    ("repository", "garbage_collect", 0),
    ("repository", "expire_snapshots", 0),
    ("repository", "garbage_collect", 1),
    ("session", "commit", 1),
)
"""Where the old writer is when its lock is broken; it sweeps after its first commit, and collects."""

IN_BUCKET = (POINTS[2], POINTS[4], POINTS[5])
"""Where it matters that there is no lock of files; a bucket takes its time."""

CASES = [
    pytest.param(place, point, early, id=f"{place}-{point[1]}-{point[2]}-{'within' if early else 'after'}")
    for place, points in (("disk", POINTS), ("bucket", IN_BUCKET))
    for point in points
    for early in (True, False)
]


PATIENCE_S = 0.05
"""Of both writers: each pauses while it has the guard, and the other waits in vain."""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that pauses where commits take moments is waited for no longer than it takes."""
    monkeypatch.setattr(islands.store.lock, "PATIENCE_S", PATIENCE_S)


def require_whole(location: str | Path, newest: int, runs: int = 2) -> None:
    """Check that every checkpoint that is listed holds what was committed as it."""
    epochs = [info.epoch for info in StoreReader(location).checkpoints()]
    assert epochs[-1] == newest
    for epoch in epochs:
        assert_resumes(StoreReader(location, epoch).checkpoint(), make_checkpoint(1, epoch, runs))


def sweeping(writer: StoreWriter, runs: int = 2) -> StoreWriter:
    """Let a writer keep two commits, so that it sweeps at every one."""
    config = make_config(Path("unused"), runs).model_copy(update={"checkpoint": CheckpointConfig(keep=2)})
    writer.set_config(config)
    return writer


class TestWithinACommit:
    """On one thread, as `islands resume --break-lock` in the midst of another's commit."""

    @pytest.mark.slow
    def test_the_commit_is_refused(self, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        original = icechunk.Session.commit
        fresh: list[StoreWriter] = []

        def commit(session: icechunk.Session, *arguments: Any) -> str:
            monkeypatch.setattr(icechunk.Session, "commit", original)
            fresh.append(sweeping(StoreWriter.open(store, break_lock=True)))
            return original(session, *arguments)

        with StoreWriter.open(store) as slow:
            monkeypatch.setattr(icechunk.Session, "commit", commit)
            with pytest.raises(StoreLockedError):
                slow.commit(make_checkpoint(1, 4), complete=False)
            with fresh[0] as writer:
                assert_resumes(writer.load(), make_checkpoint(1, 3))
                writer.commit(make_checkpoint(1, 6), complete=False)
                for refused in (
                    lambda: slow.commit(make_checkpoint(1, 5), complete=False),
                    lambda: slow.commit_scores(make_checkpoint(1, 5).scores),
                    lambda: slow.collect(1),
                    lambda: slow.tag("name", StoreReader(store, 3).session.snapshot_id),
                ):
                    with pytest.raises(StoreLockedError):
                        refused()
                writer.commit(make_checkpoint(1, 7), complete=False)
        require_whole(store, newest=7)

    @pytest.mark.slow
    def test_one_that_is_being_accepted_is_waited_for(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(islands.store.lock, "PATIENCE_S", 60)
        original = icechunk.Session.commit
        opened: list[StoreWriter] = []
        breaking = threading.Thread(target=lambda: opened.append(StoreWriter.open(store, break_lock=True)))

        def commit(session: icechunk.Session, *arguments: Any) -> str:
            monkeypatch.setattr(icechunk.Session, "commit", original)
            breaking.start()
            breaking.join(0.1)
            return original(session, *arguments)

        slow = StoreWriter.open(store)
        monkeypatch.setattr(icechunk.Session, "commit", commit)
        slow.commit(make_checkpoint(1, 4), complete=False)
        breaking.join()
        with opened[0] as writer:
            assert_resumes(writer.load(), make_checkpoint(1, 4))
            with pytest.raises(StoreLockedError):
                slow.commit(make_checkpoint(1, 5), complete=False)
        slow.close()
        require_whole(store, newest=4)

    @pytest.mark.slow
    def test_a_sweep_leaves_what_the_new_writer_has_not_committed_yet(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit, collect = icechunk.Session.commit, icechunk.Repository.garbage_collect

        def break_and_commit(repository: icechunk.Repository, *arguments: Any) -> object:
            def sweep_and_commit(session: icechunk.Session, *said: Any) -> str:
                swept.append(collect(repository, *arguments))
                return commit(session, *said)

            monkeypatch.setattr(icechunk.Repository, "garbage_collect", collect)
            with StoreWriter.open(store, break_lock=True) as fresh:
                monkeypatch.setattr(icechunk.Session, "commit", sweep_and_commit)
                fresh.commit(make_checkpoint(1, 4), complete=False)
            return swept[0]

        swept: list[object] = []
        with StoreWriter.open(store) as slow:
            monkeypatch.setattr(icechunk.Repository, "garbage_collect", break_and_commit)
            with suppress(StoreLockedError):
                slow.collect(None)
        assert swept
        require_whole(store, newest=4)


@dataclass(frozen=True)
class Place:
    """Where stores can be made, and a process that writes there and pauses."""

    stores: str
    process: subprocess.Popen[str]

    def tell(self, line: str) -> str:
        """Say a line to the process, and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        return self.process.stdout.readline().strip()


@contextmanager
def slow_writer(stores: str) -> Iterator[Place]:
    command = [sys.executable, "-m", "tests.store.slow_writer", str(PATIENCE_S)]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True, bufsize=1) as process:
        yield Place(stores, process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with slow_writer(str(tmp_path_factory.mktemp("stores"))) as place:
        yield place


@pytest.fixture(scope="module")
def bucket(s3: dict[str, str]) -> Iterator[Place]:
    with environment(s3), slow_writer(f"s3://{BUCKET}") as place:
        yield place


@pytest.mark.slow
@pytest.mark.parametrize(("place", "point", "early"), CASES)
def test_a_process_that_pauses_anywhere_damages_nothing(
    request: pytest.FixtureRequest,
    place: str,
    point: tuple[str, str, int],
    early: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes on when the new writer is about to move the branch, or has moved it several times and swept."""
    # By its name: a fixture with parameters would be made anew for each point.
    slow: Place = request.getfixturevalue(place)
    location, original = f"{slow.stores}/{uuid.uuid4().hex}/run", icechunk.Session.commit
    config = make_config(location, runs=1)
    with StoreWriter.create(location, config, make_names(10), FINGERPRINT, channels=3, size=16) as writer:
        writer.commit(make_checkpoint(1, 3, runs=1), complete=False)
    said: list[str] = []

    def commit(session: icechunk.Session, *arguments: Any) -> str:
        monkeypatch.setattr(icechunk.Session, "commit", original)
        said.append(slow.tell("go on"))
        return original(session, *arguments)

    assert slow.tell(f"{location} {' '.join(map(str, point))}") == "here"
    with sweeping(StoreWriter.open(location, break_lock=True), runs=1) as fresh:
        if early:
            monkeypatch.setattr(icechunk.Session, "commit", commit)
        for epoch in (7, 8):
            fresh.commit(make_checkpoint(1, epoch, runs=1), complete=False)
        if not early:
            said.append(slow.tell("go on"))
        fresh.commit(make_checkpoint(1, 9, runs=1), complete=False)
    assert said == ["StoreLockedError"]
    require_whole(location, newest=9, runs=1)
