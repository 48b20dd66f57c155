from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from islands.cli.main import run
from islands.errors import StoreLockedError
from islands.store.lock import read_owner
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def held(store: Path) -> Iterator[Path]:
    """A store whose lock is held, as a network file system may do for a host that is gone."""
    with (store / "LOCK").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield store


def own(store: Path, pid: int, host: str) -> None:
    (store / "LOCK").write_text(json.dumps({"pid": pid, "host": host}))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_stale_lock_is_broken_on_request_only(held: Path, elsewhere: bool) -> None:
    own(held, dead_process(), "elsewhere" if elsewhere else socket.gethostname())
    with pytest.raises(StoreLockedError, match="--break-lock"):
        StoreWriter.open(held)
    with StoreWriter.open(held, break_lock=True) as writer:
        writer.commit(make_checkpoint(1, 5), complete=False)
        with pytest.raises(StoreLockedError, match=rf"process {os.getpid()} on {socket.gethostname()}"):
            StoreWriter.open(held)
    assert read_owner(held) is None
    StoreWriter.open(held).close()


def test_the_lock_of_a_living_process_is_not_broken(held: Path) -> None:
    own(held, os.getpid(), socket.gethostname())
    with pytest.raises(StoreLockedError) as failure:
        StoreWriter.open(held, break_lock=True)
    assert "--break-lock" not in str(failure.value)


def test_the_lock_of_an_unknown_process_is_not_broken(held: Path) -> None:
    (held / "LOCK").write_text("")
    with pytest.raises(StoreLockedError, match="another process"):
        StoreWriter.open(held, break_lock=True)


def test_a_writer_whose_lock_was_broken_commits_no_more(store: Path) -> None:
    """Zarr #3682: on a local disk, two writers lose commits."""
    with StoreWriter.open(store) as slow:
        own(store, dead_process(), "elsewhere")
        taken = StoreWriter.open(store, break_lock=True)
        with taken, pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
            slow.commit(make_checkpoint(1, 5), complete=False)


def test_the_command_takes_the_flag(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own(held, os.getpid(), socket.gethostname())
    assert run(["resume", str(held), "--break-lock"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
