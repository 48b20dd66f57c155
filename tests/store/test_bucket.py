"""A store in a bucket does what one on a disk does: against a real server that speaks S3."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import zarr

from islands.cli.main import execute
from islands.errors import StoreError, StoreExistsError, StoreLockedError, StoreNotFoundError
from islands.experiments.configure import load_run_config
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.store.creation import require_free
from islands.store.location import Location
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.repository import create_repository
from islands.store.status import read_status
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_same
from tests.store.object_storage import BUCKET, environment
from tests.store.samples import FINGERPRINT, make_checkpoint, make_config, make_names
from tests.test_end_to_end import IN_PROCESS, archive, settings, start, wait_for_checkpoint

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
TAKE_LOCK = """
import sys
from islands.store.writer import StoreWriter
StoreWriter.open(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def server(s3: dict[str, str]) -> Iterator[None]:
    with environment(s3):
        yield


@pytest.fixture
def url() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4().hex}/run"


def create(url: str) -> StoreWriter:
    config = make_config(url)
    return StoreWriter.create(url, config, make_names(10), FINGERPRINT, channels=3, size=16)


def commit(url: str, epochs: int = 2) -> None:
    with create(url) as writer:
        for epoch in range(epochs):
            writer.commit(make_checkpoint(1, epoch), complete=False)


def test_what_was_committed_is_read_back(url: str) -> None:
    commit(url)
    reader = StoreReader(url)
    stored = reader.checkpoint()
    assert stored is not None
    assert_same(stored.runs[0].elites, make_checkpoint(1, 1).runs[0].elites)
    assert [info.epoch for info in reader.checkpoints()] == [0, 1]
    assert query(url, "select count(*) from elites").rows == [(20,)]
    found = read_status(url)
    assert (found.store, found.written_by, found.next) == (url, None, f"islands resume {url}")
    assert found.bytes > 0


def test_old_commits_are_forgotten_and_freed(url: str) -> None:
    commit(url, epochs=4)
    assert execute(["prune", url, "--keep", "2"]) == 0
    assert [info.epoch for info in StoreReader(url).checkpoints()] == [2, 3]
    with StoreWriter.open(url) as writer:
        writer.commit(make_checkpoint(1, 4), complete=True)
    assert StoreReader(url, "complete-4").complete


def test_a_store_is_not_overwritten(url: str) -> None:
    require_free(url)
    create(url).close()
    with pytest.raises(StoreExistsError, match="islands resume s3://"):
        require_free(url)


def test_a_process_killed_while_it_makes_a_store_is_in_nobodys_way(url: str) -> None:
    create_repository(Location.of(url))
    require_free(url)
    with pytest.raises(StoreNotFoundError, match="was begun"):
        StoreReader(url)
    commit(url)
    assert StoreReader(url).epoch == 1


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://islands-test/nothing/here", "there is no store"),
        ("s3://no-such-bucket/run", "there is no store|cannot be reached"),
        ("s3://islands-test", "BUCKET/PREFIX"),
        ("ftp://host/run", "BUCKET/PREFIX"),
        ("az://container/run", "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_a_wrong_url_is_explained(location: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        StoreReader(location)


def test_a_url_survives_path() -> None:
    assert Location.of(Path("s3://bucket/a/b/")) == Location.of("s3://bucket/a/b")
    assert Location.of("gs://bucket/a/b").name == "b"
    assert Location.of("runs/s3:first").is_local


class TestOneWriter:
    def test_the_second_is_refused(self, url: str) -> None:
        create(url).close()
        with StoreWriter.open(url), pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
            StoreWriter.open(url)
        assert StoreReader(url).writer is None

    def test_a_writer_that_died_here_is_recognised(self, url: str) -> None:
        create(url).close()
        command = [sys.executable, "-c", TAKE_LOCK, url]
        other = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"process {other.pid}"):
            StoreWriter.open(url)
        assert str(StoreReader(url).writer) == f"process {other.pid} on {socket.gethostname()}"
        other.kill()
        other.communicate()
        StoreWriter.open(url).close()

    def test_one_on_another_host_is_replaced_on_request_and_commits_no_more(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create(url).close()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "gethostname", lambda: "elsewhere")
            slow = StoreWriter.open(url)
        with pytest.raises(StoreLockedError, match=r"on elsewhere.*--break-lock"):
            StoreWriter.open(url)
        with StoreWriter.open(url, break_lock=True) as taken:
            taken.commit(make_checkpoint(1, 0), complete=False)
            with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
                slow.commit(make_checkpoint(1, 1), complete=False)
            slow.close()
            taken.commit(make_checkpoint(1, 1), complete=False)
        assert StoreReader(url).epoch == 1

    def test_a_commit_upon_another_than_its_own_is_refused(self, url: str) -> None:
        """Even a writer that lost its lock within a commit cannot bury the other's."""
        create(url).close()
        with StoreWriter.open(url) as writer:
            session = writer._repository.writable_session("main")
            zarr.open_group(session.store, mode="r+").attrs["note"] = "somebody else's"
            session.commit("not ours")
            with pytest.raises(StoreLockedError, match="one writer"):
                writer.commit(make_checkpoint(1, 0), complete=False)


def test_a_killed_run_resumes_to_the_same_bits(url: str, tmp_path: Path) -> None:
    """Run, kill -9, resume, query."""
    file = CHECKOUT / "cluster/local.yaml"
    chosen = {**IN_PROCESS, "evolve.generations": 200}
    driver = start("launch", file, *settings({**chosen, "store": url}), cwd=tmp_path)
    wait_for_checkpoint(url, 2)
    driver.kill()
    driver.communicate()
    assert resume(url).complete
    undisturbed = launch(
        load_run_config(
            file, [f"{key}={value}" for key, value in {**chosen, "store": tmp_path / "run"}.items()]
        )
    )
    assert archive(url) == archive(str(undisturbed.path))
    assert query(url, "select count(*) from elites").rows == [(10,)]


def test_nothing_is_there_before_it_is_made(url: str) -> None:
    with pytest.raises(StoreNotFoundError, match=url):
        StoreReader(url)
