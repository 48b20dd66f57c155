"""Runs on a Ray head of their own: joined, through its client, and as jobs, with and without tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from islands.experiments.configure import resolve_run_config
from islands.runs.launch import launch
from islands.store.reader import StoreReader
from tests.cluster.heads import CHECKOUT, Head, head
from tests.extensions import own
from tests.test_end_to_end import archive, wait_for_checkpoint

pytestmark = pytest.mark.slow

TOKEN = "ab" * 32
SETTINGS: dict[str, Any] = {
    "pipeline": "mnist_cppn",
    "islands": {"count": 2},
    "workers": {"count": 1},
    "evolve": {"initial": 10, "children": 10, "generations": 20, "generations_per_epoch": 2},
    "checkpoint": {"every_s": 0.5},
}


@pytest.fixture(scope="module")
def open_head() -> Iterator[Head]:
    """A head that asks for nothing."""
    with head({"RAY_AUTH_MODE": "disabled"}) as found:
        yield found


@pytest.fixture(scope="module")
def guarded_head() -> Iterator[Head]:
    """A head that asks for a token."""
    with head({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}) as found:
        yield found


class User:
    """Types commands, with a home folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def file(self, address: str, **settings: Any) -> str:
        path = self.home / "run.yaml"
        values = {**SETTINGS, "store": str(self.home / "run"), "ray": {"address": address}, **settings}
        path.write_text(json.dumps(values))
        return str(path)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return subprocess.Popen(
            [sys.executable, "-m", "islands", *arguments],
            env={**clean, "HOME": str(self.home), "PYTHONPATH": str(CHECKOUT), **environment},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def islands(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **environment) as process:
            try:
                stdout, stderr = process.communicate(timeout=150)
            finally:
                process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Every byte of the archive as this process alone finds it."""
    store = tmp_path_factory.mktemp("undisturbed") / "run"
    alone = {**SETTINGS, "store": str(store), "workers": {"executor": "in-process"}}
    return archive(str(launch(resolve_run_config(alone)).path))


@pytest.mark.parametrize("given", [{}, {"RAY_AUTH_TOKEN": TOKEN}], ids=["nothing", "a token"])
def test_a_cluster_without_tokens_is_joined_with_the_least_workers(
    given: dict[str, str], open_head: Head, user: User, undisturbed: list[bytes]
) -> None:
    """The head has two CPUs, so that the third worker never comes."""
    done = user.islands("launch", user.file(open_head.address, workers={"count": 3, "min": 1}), **given)
    assert done.returncode == 0, done.stderr
    assert archive(user.home / "run") == undisturbed


@pytest.mark.parametrize(
    "given",
    [{}, {"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "cd" * 32}],
    ids=["nothing", "disabled", "another token"],
)
def test_a_cluster_with_a_token_refuses_others(given: dict[str, str], guarded_head: Head, user: User) -> None:
    done = user.islands("launch", user.file(guarded_head.address), **given)
    assert done.returncode == 2, done.stderr
    *phases, error = done.stderr.splitlines()
    assert error.startswith("error: ray.address: the cluster at")
    assert phases == ["loading lenet-mnist on 1 worker of Ray"]
    assert "RAY_AUTH_TOKEN" in done.stderr
    assert not (user.home / "run").exists()


def test_a_cluster_with_a_token_is_joined_by_those_who_have_it(
    guarded_head: Head, user: User, undisturbed: list[bytes]
) -> None:
    done = user.islands("launch", user.file(guarded_head.address), RAY_AUTH_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert archive(user.home / "run") == undisturbed


def test_somebodys_own_code_comes_to_workers(open_head: Head, user: User) -> None:
    """They run in another folder, which has none of these files."""
    own.write(user.home)
    named = {"network": {"name": "net:build"}, "encoding": {"name": "file:mine.py:Mosaic"}}
    done = user.islands("launch", user.file(open_head.address, **named))
    assert done.returncode == 0, done.stderr
    (user.home / "alone.yaml").write_text(
        json.dumps({**SETTINGS, **named, "store": "alone", "workers": {"executor": "in-process"}})
    )
    assert user.islands("launch", "alone.yaml").returncode == 0
    assert archive(user.home / "run") == archive(user.home / "alone")


@pytest.mark.parametrize("given", [{}, {"RAY_AUTH_TOKEN": TOKEN}], ids=["nothing", "a token"])
def test_a_cluster_without_tokens_is_joined_through_its_client(
    given: dict[str, str], open_head: Head, user: User, undisturbed: list[bytes]
) -> None:
    done = user.islands("launch", user.file(open_head.client), **given)
    assert done.returncode == 0, done.stderr
    assert archive(user.home / "run") == undisturbed


def test_a_cluster_with_a_token_is_joined_through_its_client(
    guarded_head: Head, user: User, undisturbed: list[bytes]
) -> None:
    refused = user.islands("launch", user.file(guarded_head.client))
    assert refused.returncode == 2, refused.stderr
    assert "RAY_AUTH_TOKEN" in refused.stderr
    assert not (user.home / "run").exists()
    done = user.islands("launch", user.file(guarded_head.client), RAY_AUTH_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert archive(user.home / "run") == undisturbed


class TestJobs:
    def test_a_job_is_submitted_followed_and_found_again(
        self, guarded_head: Head, user: User, undisturbed: list[bytes]
    ) -> None:
        done = user.islands("launch", user.file(guarded_head.jobs), RAY_AUTH_TOKEN=TOKEN)
        assert done.returncode == 0, done.stderr
        assert "epoch 10/10" in done.stderr
        assert archive(user.home / "run") == undisturbed
        assert StoreReader(user.home / "run").config.ray.address == "auto"
        status = user.islands("status", str(user.home / "run"), "--json", RAY_AUTH_TOKEN=TOKEN)
        assert json.loads(status.stdout)["job"]["state"] == "SUCCEEDED"
        listed = user.islands("status", guarded_head.jobs, "--json", RAY_AUTH_TOKEN=TOKEN)
        assert str(user.home / "run") in [job["store"] for job in json.loads(listed.stdout)]
        refused = user.islands("status", guarded_head.jobs)
        assert refused.returncode == 2
        assert "RAY_AUTH_TOKEN" in refused.stderr

    @pytest.mark.parametrize(
        "runtime_env",
        [
            {"working_dir": "nowhere"},
            {"pip": ["a"], "conda": "b"},
            {"env_vars": {"A": 1}},
            {"env_vars": "A=1"},
        ],
    )
    def test_a_bad_environment_is_told_before_the_job_starts(
        self, open_head: Head, user: User, runtime_env: dict[str, Any]
    ) -> None:
        file = user.file(open_head.jobs, ray={"address": open_head.jobs, "runtime_env": runtime_env})
        done = user.islands("launch", file)
        assert done.returncode == 2, done.stderr
        assert "ray.runtime_env: Ray cannot use it: " in done.stderr
        assert done.stderr.count("\n") <= 2

    def test_a_detached_job_is_cancelled_and_resumed(self, open_head: Head, user: User) -> None:
        long = {**SETTINGS["evolve"], "generations": 20_000}
        store = str(user.home / "run")
        begun = user.islands("launch", user.file(open_head.jobs, evolve=long), "--detach")
        assert begun.returncode == 0, begun.stderr
        assert f"islands stop {store}" in begun.stdout
        assert StoreReader(store).writer is not None
        stopped = user.islands("stop", store)
        assert stopped.returncode == 0, stopped.stderr
        assert f"stopped; to go on: islands resume {store}" in stopped.stdout
        reader = StoreReader(store)
        assert reader.writer is None
        assert not reader.complete
        assert "islands resume" in user.islands("logs", store).stdout
        resumed = user.islands("resume", store, "--detach")
        assert resumed.returncode == 0, resumed.stderr
        wait_for_checkpoint(store, (reader.epoch or 0) + 1)
        running = json.loads(user.islands("status", store, "--json").stdout)
        assert running["job"]["state"] == "RUNNING"
        assert running["epoch"] > (reader.epoch or 0)
        assert user.islands("stop", store).returncode == 0

    def test_a_job_that_is_stopped_before_it_evolves_is_to_be_launched_again(
        self, open_head: Head, user: User
    ) -> None:
        """A network that is trained first gives the time for that."""
        file, store = user.file(open_head.jobs, network={"name": "lenet:51"}), str(user.home / "run")
        with user.start("launch", file) as following:
            while json.loads(user.islands("status", store, "--json").stdout or "{}").get("job") is None:
                assert following.poll() is None
            stopped = user.islands("stop", store)
            assert following.wait(60) == 130
        assert stopped.returncode == 0, stopped.stderr
        assert "launch it again" in stopped.stdout

    def test_an_experiment_of_several_runs_is_left_at_once_and_launched_again(
        self, open_head: Head, user: User
    ) -> None:
        """Its first stage climbs gradients: it never says an epoch."""
        file = user.file(open_head.jobs, pipeline="gradient_ascent", network={"name": "lenet-mnist"})
        begun = user.islands("launch", file, "--detach")
        assert begun.returncode == 0, begun.stderr
        running = json.loads(user.islands("status", str(user.home / "run"), "--json").stdout)
        assert running["job"]["state"] == "RUNNING"
        stopped = user.islands("stop", str(user.home / "run"))
        assert stopped.returncode == 0, stopped.stderr
        assert "launch it again" in stopped.stdout

    def test_a_store_that_would_go_with_the_job_is_refused(self, open_head: Head, user: User) -> None:
        done = user.islands("launch", user.file(open_head.jobs, store="runs/x"))
        assert done.returncode == 2
        assert "absolute path" in done.stderr

    def test_somebodys_own_code_goes_with_a_job(self, open_head: Head, user: User, tmp_path: Path) -> None:
        """The head has another folder, and none of these files."""
        own.write(user.home / "code")
        named = {
            "network": {"name": "file:code/net.py:build"},
            "encoding": {"name": "file:code/mine.py:Mosaic"},
        }
        run = user.file(open_head.jobs, **named)
        done = user.islands("launch", run)
        assert done.returncode == 0, done.stderr
        alone = {**SETTINGS, **named, "store": str(tmp_path / "alone"), "workers": {"executor": "in-process"}}
        (user.home / "alone.yaml").write_text(json.dumps(alone))
        assert user.islands("launch", "alone.yaml").returncode == 0
        assert archive(user.home / "run") == archive(tmp_path / "alone")
        more = user.islands("resume", str(user.home / "run"), "--set", "evolve.generations=24")
        assert more.returncode == 0, more.stderr
        assert StoreReader(user.home / "run").complete

    def test_a_job_that_fails_is_explained(self, open_head: Head, user: User) -> None:
        network = {"name": "no_such_module:build"}
        done = user.islands("launch", user.file(open_head.jobs, network=network))
        assert done.returncode == 1
        assert "error: no_such_module" in done.stderr
        assert "islands logs" in done.stderr.splitlines()[-1]
        detached = user.islands("launch", user.file(open_head.jobs, network=network), "--detach")
        assert detached.returncode == 1
        assert detached.stderr.startswith("error: no_such_module")

    def test_no_server_is_explained(self, user: User) -> None:
        done = user.islands("launch", user.file("http://127.0.0.1:9"))
        assert done.returncode == 2
        assert "no job server answers" in done.stderr


class TestDetached:
    """`--detach` without a cluster: a process of this machine."""

    def test_a_process_goes_on_and_is_stopped(self, user: User) -> None:
        long = {**SETTINGS["evolve"], "generations": 20_000}
        store = str(user.home / "run")
        here = {"executor": "in-process"}
        begun = user.islands("launch", user.file("local", evolve=long, workers=here), "--detach")
        assert begun.returncode == 0, begun.stderr
        wait_for_checkpoint(store, 1)
        twice = user.islands("resume", store, "--detach")
        assert twice.returncode == 2
        assert "still goes on" in twice.stderr
        assert "epoch" in user.islands("logs", store).stdout
        assert user.islands("stop", store).returncode == 0
        *_, first, second, third = user.islands("logs", store, "--follow").stdout.splitlines()
        assert first.split() == ["next", "islands", "resume", store]
        assert second.split() == ["islands", "status", store]
        assert third.split() == ["islands", "show", store, "--sheet"]
        assert StoreReader(store).writer is None
        again = user.islands("stop", store)
        assert again.returncode == 2
        assert "nothing writes" in again.stderr

    def test_what_is_wrong_is_told_at_once(self, user: User) -> None:
        file = user.file("local", islands={"count": 11}, workers={"executor": "in-process"})
        done = user.islands("launch", file, "--detach")
        assert done.returncode == 2
        assert "islands.count" in done.stderr
