"""Runs against networks behind a server: archives, budgets, and what a store may cause."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import islands
from islands.classifiers import inference_protocol
from islands.classifiers.hosts import allow_hosts, allowed_hosts, as_options
from islands.cli.main import execute
from islands.config import NetworkConfig
from islands.config.own_code import packed, unpacked
from islands.errors import BudgetSpentError, NetworkError
from islands.experiments.configure import load_run_config
from islands.runs.trust import is_trusted
from islands.store.reader import StoreReader
from tests.classifiers.inference_server import Fault, Server, serving
from tests.classifiers.test_served_networks import BATCH, DIGITS, lenet
from tests.runs.test_trust import READS

Capture = pytest.CaptureFixture[str]
LOCAL = {"name": "lenet-mnist", "engine": "torch", "batch_size": BATCH}
EVOLVE = {"initial": 4 * BATCH, "children": 4 * BATCH, "generations_per_epoch": 5}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("digits.json").write_text(json.dumps(DIGITS))
    for name in ("AT_FIRST", "LATER"):
        quick = getattr(inference_protocol, name).new(backoff_factor=0, backoff_jitter=0)
        monkeypatch.setattr(inference_protocol, name, quick)
    yield
    allow_hosts([])


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lenet, binary=True) as found:
        yield found


def served(server: Server, **settings: Any) -> dict[str, Any]:
    return {"name": f"kserve:{server.url}/digits", **settings}


def evolved(network: dict[str, Any], store: str, **settings: Any) -> str:
    """Return the digest of everything that a run holds."""
    islands.evolve(network, generations=20, evolve=EVOLVE, store=store, seed=3, **settings)
    return StoreReader(store).digest(0)


def test_the_archive_is_that_of_the_network_here(server: Server) -> None:
    """Genomes, confidences, lineages and history, bit for bit, where both take batches of one size."""
    assert evolved(served(server), "there") == evolved(LOCAL, "here")
    asked = server.queries
    assert StoreReader("there").queries == {f"kserve:{server.url}/digits": asked}
    assert StoreReader("here").queries == {}
    assert evolved(served(server), "again") == StoreReader("there").digest(0)
    assert server.queries == asked + BATCH, "the pictures that tell networks apart"


def test_a_budget_ends_a_run_after_a_commit_and_a_larger_one_goes_on(server: Server, capsys: Capture) -> None:
    """Until then no query is made twice."""
    with pytest.raises(BudgetSpentError, match=r"network\.budget \(640\)") as refusal:
        evolved(served(server, budget=640), "there")
    assert "\n" not in str(refusal.value)
    assert server.queries <= 640
    reader = StoreReader("there")
    assert reader.epoch is not None
    assert reader.queries[f"kserve:{server.url}/digits"] == server.queries
    assert execute(["resume", "there"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "raise the budget, and go on" in error
    assert execute(["resume", "there", "--set", "network.budget=100000"]) == 0
    assert StoreReader("there").digest(0) == evolved(LOCAL, "here")
    capsys.readouterr()
    assert execute(["status", "there"]) == 0
    assert f"kserve:{server.url}/digits: {server.queries:,} asked" in capsys.readouterr().out


def test_a_server_that_fails_in_the_midst_costs_nothing(server: Server, capsys: Capture) -> None:
    real = server.network
    answers = iter(range(20))

    def failing(inputs: Any) -> Any:
        if next(answers, None) is None:
            server.faults.extend([Fault(500, b"CUDA error:\nout of memory")] * 50)
        return real(inputs)

    server.network = failing
    with pytest.raises(NetworkError, match=r"failed in epoch \d+: .* answers 500: CUDA error: out of memory"):
        evolved(served(server), "there")
    assert StoreReader("there").epoch is not None
    server.network = real
    server.faults.clear()
    assert execute(["resume", "there"]) == 0
    assert StoreReader("there").digest(0) == evolved(LOCAL, "here")


def test_another_network_at_the_address_is_not_gone_on_with(server: Server, capsys: Capture) -> None:
    evolved(served(server), "there")
    server.network = lambda inputs: lenet(inputs)[:, ::-1]
    assert execute(["resume", "there", "--set", "evolve.generations=40"]) == 2
    assert "has fingerprint" in capsys.readouterr().err


def test_it_can_be_held_out_and_asked_afterwards(server: Server) -> None:
    evolved({"name": "linear-mnist"}, "source", held_out=[served(server, budget=10_000)])
    (there,) = StoreReader("source").scores()
    found = islands.score("source", [{**LOCAL, "batch_size": 1}])
    rows = found["network"] == "lenet-mnist"
    expected = there.runs[0].target_probability
    assert abs(found["target_probability"][rows] - expected).max() < 1e-6
    asked = server.queries
    assert execute(["export", "source", "pictures"]) == 0
    assert execute(["score", "pictures", "--network", json.dumps(served(server))]) == 0
    assert server.queries == asked + BATCH, "these pictures were asked about"


@pytest.mark.slow
def test_workers_of_ray_share_one_account(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own: a Ray that is there already has another cache folder."""
    # Workers begin in this folder, where an uninstalled package is not found.
    monkeypatch.setenv("PYTHONPATH", str(Path(islands.__file__).parents[1]))
    settings = {
        "pipeline": "custom",
        "store": "there",
        "seed": 3,
        "network": served(server),
        "encoding": {"name": "cppn"},
        "evolve": {**EVOLVE, "generations": 20},
        "workers": {"executor": "ray", "count": 2},
        "islands": {"count": 2},
    }
    Path("run.yaml").write_text(json.dumps(settings))
    launched = [sys.executable, "-m", "islands", "launch", "run.yaml", "--progress", "none"]
    subprocess.run(launched, check=True, timeout=300)
    assert StoreReader("there").digest(0) == evolved(LOCAL, "here", islands={"count": 2})
    assert StoreReader("there").queries == {f"kserve:{server.url}/digits": server.queries}


def test_doctor_says_how_often_it_was_asked(server: Server, capsys: Capture) -> None:
    file = Path("run.yaml")
    settings = {"pipeline": "mnist_cppn", "workers": {"executor": "in-process"}, "store": "there"}
    file.write_text(json.dumps({**settings, "network": served(server, budget=5000, queries_per_second=1e5)}))
    assert execute(["doctor", str(file), "--json"]) == 0
    said = {each["subject"]: each["text"] for each in json.loads(capsys.readouterr().out)}
    assert said["queries"].startswith(
        f"kserve:{server.url}/digits: {server.queries:,} asked from this machine"
    )
    assert "the budget is 5,000, at most 100000 a second" in said["queries"]
    assert "ask its owner first" in said["queries"]
    assert said["engine"].startswith("tests 1, binary: it serves the network")


def test_who_looks_at_a_store_asks_nobody(server: Server, capsys: Capture) -> None:
    evolved(served(server), "there", held_out=[served(server, outputs="logits", view="center")])
    asked, looked = server.queries, len(server.paths)
    assert not is_trusted(NetworkConfig(name=f"kserve:{server.url}/digits"))
    assert not is_trusted(NetworkConfig(name=f"ensemble:lenet-mnist+kserve:{server.url}/digits"))
    for command, words in READS.items():
        shutil.copytree("there", f"seen-{command}")
        assert execute([command, f"seen-{command}", *words]) == 0
    for command in ("verify", "transfer"):
        assert execute([command, "there"]) == 2
        assert "asks a server that the store has chosen" in capsys.readouterr().err
    assert (server.queries, len(server.paths)) == (asked, looked)
    assert execute(["verify", "there", "--trust-networks"]) == 0
    assert server.queries > asked


@pytest.mark.parametrize("command", ["launch", "plan", "doctor"])
def test_a_host_must_be_named_on_the_command_line(command: str, capsys: Capture) -> None:
    settings = {"pipeline": "mnist_cppn", "workers": {"executor": "in-process"}, "store": "there"}
    network = {"name": "kserve:http://models.invalid/digits"}
    Path("run.yaml").write_text(json.dumps({**settings, "network": network}))
    assert execute([command, "run.yaml"]) == 2
    said = capsys.readouterr()
    assert "--allow-host models.invalid, and ask its owner first" in said.err + said.out
    assert execute([command, "run.yaml", "--allow-host", "models.invalid"]) == 2
    said = capsys.readouterr()
    assert "does not answer" in said.err + said.out
    assert not Path("there").exists()


def test_workers_and_processes_in_the_background_are_told_which_hosts(server: Server) -> None:
    settings = {"pipeline": "mnist_cppn", "store": "there", "network": {"name": "lenet-mnist"}}
    Path("run.yaml").write_text(json.dumps(settings))
    config = load_run_config("run.yaml")
    allow_hosts(["models.example.org", "192.0.2.7"])
    message = json.loads(json.dumps(packed(config)))
    assert as_options() == ["--allow-host", "192.0.2.7", "--allow-host", "models.example.org"]
    allow_hosts([])
    unpacked(message)
    assert allowed_hosts() == ["192.0.2.7", "models.example.org"]
