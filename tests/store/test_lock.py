from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import islands
from islands.cli.main import execute
from islands.errors import StoreLockedError
from islands.store.lock import StoreLock, read_owner
from islands.store.reader import StoreReader
from islands.store.status import read_status
from islands.store.writer import StoreWriter
from tests.store.object_storage import BUCKET, environment
from tests.store.samples import FINGERPRINT, make_checkpoint, make_config, make_names

ROOT = Path(__file__).parents[2]


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any store."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture
def held(store: Path) -> Iterator[Path]:
    """A store whose lock is held, as a network file system may do for a host that is gone."""
    with (store / "LOCK").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield store


def own(store: Path, pid: object, host: str = socket.gethostname(), **more: str) -> None:
    (store / "LOCK").write_text(json.dumps({"pid": pid, "host": host, **more}))


class TestBreaking:
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_stale_lock_is_broken_on_request_only(self, held: Path, elsewhere: bool) -> None:
        own(held, dead_process(), "elsewhere" if elsewhere else socket.gethostname())
        with pytest.raises(StoreLockedError, match="--break-lock"):
            StoreWriter.open(held)
        with StoreWriter.open(held, break_lock=True) as writer:
            writer.commit(make_checkpoint(1, 5), complete=False)
            with pytest.raises(StoreLockedError, match=rf"process {os.getpid()} on {socket.gethostname()}"):
                StoreWriter.open(held)
        assert read_owner(held) is None
        StoreWriter.open(held).close()

    def test_the_lock_of_a_living_process_is_broken_on_request_only(self, store: Path) -> None:
        with StoreWriter.open(store) as slow:
            with pytest.raises(StoreLockedError) as failure:
                StoreWriter.open(store)
            assert "--break-lock" not in str(failure.value)
            with (
                StoreWriter.open(store, break_lock=True),
                pytest.raises(StoreLockedError, match=f"process {os.getpid()}"),
            ):
                slow.commit(make_checkpoint(1, 5), complete=False)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "1", "host": "here"}'])
    def test_the_lock_of_an_unknown_process_is_broken_on_request_only(self, held: Path, text: str) -> None:
        (held / "LOCK").write_text(text)
        with pytest.raises(StoreLockedError, match=r"another process.*--break-lock"):
            StoreWriter.open(held)
        StoreWriter.open(held, break_lock=True).close()

    def test_a_broken_lock_can_be_read_by_others(self, held: Path) -> None:
        StoreWriter.open(held, break_lock=True).close()
        for file in ("LOCK", "LOCK.guard"):
            assert stat.S_IMODE((held / file).stat().st_mode) & stat.S_IRGRP


class TestWhoWrites:
    def test_a_writer_is_known_while_it_has_the_store(self, store: Path) -> None:
        with StoreWriter.open(store):
            assert read_status(store).written_by == f"process {os.getpid()} on {socket.gethostname()}"
        assert read_status(store).written_by is None

    def test_a_process_that_only_has_the_number_is_left_alone(
        self, store: Path, stranger: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """As after `kill -9` of the writer, when the system has given its number again."""
        own(store, stranger.pid)
        assert read_status(store).written_by is None
        assert execute(["stop", str(store)]) == 2
        assert "nothing writes" in capsys.readouterr().err
        with StoreWriter.open(store):
            text = json.loads((store / "LOCK").read_text())
            own(store, **{**text, "pid": stranger.pid})
            assert read_status(store).written_by is None
            assert execute(["stop", str(store)]) == 2
            own(store, stranger.pid)
            assert execute(["stop", str(store)]) == 2
        assert stranger.poll() is None

    @pytest.mark.parametrize("pid", [-1, 0, 10**30, 1.5, "1", None])
    def test_what_is_no_process_is_not_signalled(self, held: Path, pid: object) -> None:
        own(held, pid)
        assert execute(["stop", str(held)]) == 2

    def test_a_writer_on_another_host_is_not_signalled(
        self, held: Path, stranger: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
    ) -> None:
        own(held, stranger.pid, "elsewhere")
        assert execute(["stop", str(held)]) == 2
        assert f"kill -TERM {stranger.pid}" in capsys.readouterr().err
        assert stranger.poll() is None

    def test_looking_never_keeps_a_writer_out(self, store: Path) -> None:
        code = "import sys; from islands.store.lock import read_holder; from pathlib import Path\n"
        code += "print('on', flush=True)\nwhile True: read_holder(Path(sys.argv[1]))"
        with subprocess.Popen([sys.executable, "-c", code, str(store)], cwd=ROOT, stdout=-1) as looking:
            assert looking.stdout is not None
            looking.stdout.readline()
            try:
                for _ in range(100):
                    StoreLock(store).release()
                    own(store, looking.pid, "elsewhere")
            finally:
                looking.kill()


TAKE = """
import signal, sys
from islands.store.writer import StoreWriter
StoreWriter.open(sys.argv[1])
print("held", flush=True)
signal.pause()
"""

REUSE = f"""
import os, subprocess, sys
from islands.cli.main import execute
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
command = [sys.executable, "-c", {TAKE!r}, sys.argv[1]]
with subprocess.Popen(command, stdout=-1) as writer:
    writer.stdout.readline()
    assert StoreReader(sys.argv[1]).writer.pid == writer.pid
    writer.kill()
for _ in range(1000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(writer.pid - 1))
    stranger = subprocess.Popen(["sleep", "100"])
    if stranger.pid == writer.pid:
        break
    stranger.kill()
    stranger.wait()
assert stranger.pid == writer.pid
assert StoreReader(sys.argv[1]).writer is None
assert execute(["stop", sys.argv[1]]) == 2
assert stranger.poll() is None
StoreWriter.open(sys.argv[1]).close()
stranger.kill()
"""


UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def contained(code: str, *arguments: str) -> list[str]:
    """Return the command that runs `code` as a container does: among processes of its own."""
    return [*UNSHARE, sys.executable, "-c", code, *arguments]


def can_contain() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module", params=["disk", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where stores can be made."""
    if request.param == "disk":
        yield str(tmp_path_factory.mktemp("stores"))
    else:
        with environment(request.getfixturevalue("s3")):
            yield f"s3://{BUCKET}"


@pytest.fixture
def place(places: str) -> str:
    """A store."""
    location = f"{places}/{uuid.uuid4().hex}/run"
    config = make_config(location)
    StoreWriter.create(location, config, make_names(10), FINGERPRINT, channels=3, size=16).close()
    return location


@pytest.mark.slow
@pytest.mark.skipif(not can_contain(), reason="no right to make a namespace of processes")
class TestContainers:
    def test_a_process_with_the_number_of_a_killed_writer_is_left_alone(self, place: str) -> None:
        done = subprocess.run(
            contained(REUSE, place), cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_a_container_that_is_started_again_goes_on(self, place: str) -> None:
        """Its processes have the same host name and the same numbers as before."""
        for _ in range(2):
            with subprocess.Popen(contained(TAKE, place), cwd=ROOT, stdout=-1, text=True) as container:
                assert container.stdout is not None
                assert container.stdout.readline() == "held\n"
                container.kill()
        StoreWriter.open(place).close()


@pytest.mark.slow
def test_a_living_writer_is_stopped_and_its_lock_broken(place: str) -> None:
    for end in ("stop", "break"):
        command = [sys.executable, "-c", TAKE, place]
        with subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "held\n"
            found = StoreReader(place).writer
            assert found is not None
            assert found.pid == writer.pid
            if end == "stop":
                assert execute(["stop", place]) == 0
                assert writer.wait() == -signal.SIGTERM
            else:
                StoreWriter.open(place, break_lock=True).close()
                writer.kill()
    StoreWriter.open(place).close()


@pytest.mark.slow
def test_the_command_takes_the_flag(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, more = tmp_path / "run", ["--set", "evolve.generations=20"]
    islands.evolve("lenet-mnist", generations=10, store=store, evolve={"initial": 20, "children": 20})
    with (store / "LOCK").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        own(store, os.getpid(), "elsewhere")
        assert execute(["resume", str(store), *more]) == 2
        assert "--break-lock" in capsys.readouterr().err
        assert execute(["resume", str(store), *more, "--break-lock"]) == 0
    assert StoreReader(store).complete
