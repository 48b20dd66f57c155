"""`tests/plugin`, a package of somebody else's, in an environment of its own: nothing here knows of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from islands.store.reader import StoreReader
from tests.cluster.two_hosts import TOKEN, Host, start_ray, two_hosts, why_not
from tests.test_end_to_end import archive, wait_for_checkpoint

CHECKOUT = Path(__file__).parents[2]
FILE = {"pipeline": "gratings", "seed": 3, "workers": {"executor": "in-process", "device": "cpu"}}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment that has all that this one has, the checkout, and the package."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False)
    place = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / place / "site-packages"
    (packages / "parent.pth").write_text(f"{sysconfig.get_path('purelib')}\n{CHECKOUT}\n")
    own = str(folder / "bin/python")
    command = (own, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([*command, str(CHECKOUT / "tests/plugin")], check=True, timeout=120)
    return own


class User:
    """Types commands in a folder, on this machine or on a host."""

    def __init__(self, python: str, folder: Path, host: Host | None = None) -> None:
        self.python, self.folder, self.host = python, folder, host

    def start(self, *words: str) -> subprocess.Popen[str]:
        # A host has its own tree of folders, in which nobody is anywhere yet.
        command = ("env", "-C", str(self.folder), self.python, "-m", "islands", *words)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return subprocess.Popen(
            command if self.host is None else self.host.inside(*command),
            env={**kept, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def islands(self, *words: str) -> str:
        with self.start(*words) as process:
            out, said = process.communicate(timeout=240)
        assert process.returncode == 0, (words, said)
        return out

    def launch(self, **settings: Any) -> None:
        (self.folder / "run.yaml").write_text(json.dumps({**FILE, **settings}))
        self.islands("launch", "run.yaml")


@pytest.fixture
def user(python: str, tmp_path: Path) -> User:
    return User(python, tmp_path)


def test_its_suites_pass(python: str) -> None:
    """With pytest and our conformance suites, as its authors would run them."""
    command = [python, "-m", "pytest", "-q", "-n0", "-p", "no:randomly", "-p", "no:cacheprovider"]
    where = str(CHECKOUT / "tests/plugin/tests")
    done = subprocess.run(
        [*command, "--rootdir", where, "-c", os.devnull, where],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


BROUGHT = {
    "encodings": "gratings",
    "emitters": "swap",
    "parents": "rarest",
    "topologies": "pairs",
    "selections": "weakest",
    "replacements": "first",
    "measures": "contrast",
    "loggers": "tally",
    "stages": "count-elites",
    "networks": "blobs",
    "pipelines": "gratings",
}


def test_all_of_it_is_listed(python: str) -> None:
    code = (
        "import sys; from islands.cli.main import execute\n"
        "for each in sys.argv[1:]: execute([each, '--json'])"
    )
    done = subprocess.run([python, "-c", code, *BROUGHT], capture_output=True, text=True, check=True)
    lists = [{each["name"] for each in json.loads(line)} for line in done.stdout.splitlines()]
    assert all(name in names for name, names in zip(BROUGHT.values(), lists, strict=True))


def test_it_runs_from_a_file_and_the_results_are_looked_at(user: User) -> None:
    user.launch(store="runs", loggers={"others": [{"name": "tally", "file": "tally.jsonl"}]})
    assert json.loads((user.folder / "runs/elites.json").read_text()) == {"run": 12}
    lines = (user.folder / "tally.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["epoch"] == 30
    store = "runs/run"
    operators = user.islands("query", store, "select distinct operator from history order by 1")
    assert operators.split()[1:] == ["mutation", "random", "swap"]
    edges = "select distinct sender, receiver from migrations where kind = 'migrant'"
    sent = {tuple(line.split()) for line in user.islands("query", store, edges).splitlines()[1:]}
    assert sent == {("0", "1"), ("1", "0"), ("2", "3"), ("3", "2")}
    assert "largest difference 0" in user.islands("verify", store)
    user.islands("report", store, "--out", "page.html")
    assert (user.folder / "page.html").stat().st_size > 100_000
    with subprocess.Popen(
        [sys.executable, "-m", "islands", "resume", store, "--set", "evolve.generations=80"],
        cwd=user.folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as without:
        _, said = without.communicate(timeout=120)
    assert without.returncode == 2
    assert "no installed package announces it in islands.encodings" in said
    assert len(said.splitlines()) == 1


@contextmanager
def cluster(python: str) -> Iterator[Host]:
    """Two hosts with Ray, one worker's CPU each; yields the head."""
    with ExitStack() as after, two_hosts() as (first, second):
        after.enter_context(start_ray(first, "--head", "--port=6379", "--num-cpus=1", python=python))
        time.sleep(1)
        joined = (f"--address={first.address}:6379", "--num-cpus=1")
        after.enter_context(start_ray(second, *joined, python=python))
        yield first


def test_on_two_hosts_killed_and_resumed_it_gives_equal_bits(python: str, tmp_path: Path) -> None:
    if reason := why_not():
        pytest.skip(f"{reason}; tests/extensions/test_own_code.py has code travel without")
    alone = User(python, tmp_path)
    evolve = {"generations": 600, "generations_per_epoch": 4}
    alone.launch(store="alone", evolve=evolve)
    expected = archive(str(tmp_path / "alone/run"))
    with cluster(python) as head:
        user = User(python, tmp_path, head)
        workers = {"count": 2, "per_node": 1, "wait_s": 120, "device": "cpu"}
        ray = {"address": f"{head.address}:6379"}
        there = {"workers": workers, "ray": ray, "checkpoint": {"every_s": 0.5}}
        (tmp_path / "run.yaml").write_text(json.dumps({**FILE, "evolve": evolve, "store": "far", **there}))
        with user.start("launch", "run.yaml", "--progress", "plain") as driver:
            wait_for_checkpoint(tmp_path / "far/run", 1)
            driver.send_signal(signal.SIGKILL)
        killed_at = StoreReader(tmp_path / "far/run").epoch
        assert killed_at is not None
        assert 0 < killed_at < 150
        user.islands("launch", "run.yaml")
    assert archive(str(tmp_path / "far/run")) == expected
    assert json.loads((tmp_path / "far/elites.json").read_text()) == {"run": 12}
