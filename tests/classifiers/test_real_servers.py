"""What MLServer and NVIDIA's Triton serve on loopback evolves what the same network evolves here.

Each has an environment of its own, which is made once in the cache folder of whoever tests (`ISLANDS_CACHE`):
MLServer's takes 528 MB, Triton's 375 MB and an interpreter that shares its library (Debian's `python3`).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import islands
from islands.classifiers.network_classifier import log_of
from islands.classifiers.registry import load_classifier
from islands.classifiers.served_networks import ServedClassifier
from islands.cli.main import execute
from islands.datasets.mnist import load_mnist
from islands.folders import cache_directory
from islands.store.reader import StoreReader
from islands.testing import ClassifierTests
from tests.classifiers.servers.tree import Tree

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "servers"
CLASSES = tuple("0123456789")
DESCRIBED = {"classes": CLASSES, "input_size": 28, "channels": 1, "layout": "flat", "outputs": "softmax"}
BUDGET = {"initial": 64, "children": 64}
ENVIRONMENTS = cache_directory("test-environments")
"""Outside of what each test has for a cache."""
MADE = "made"
"""The file that says that an environment is whole."""


def environment(name: str, python: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of a virtual environment that is made once; skip the test where it cannot be."""
    folder = ENVIRONMENTS / name
    if not (folder / MADE).exists():
        for command in (
            [python, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *requirements],
        ):
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
            except (OSError, subprocess.TimeoutExpired) as error:
                pytest.skip(f"{' '.join(command)} fails here: {error}")
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()
                pytest.skip(f"{' '.join(command)} fails here: {said[-1] if said else done.returncode}")
        (folder / MADE).touch()
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def mlserver_python() -> Path:
    return environment("mlserver", sys.executable, ["mlserver==1.7.1", "mlserver-sklearn==1.7.1"])


@pytest.fixture(scope="module")
def fitted(mlserver_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tree as scikit-learn keeps it, and as numbers."""
    folder = tmp_path_factory.mktemp("tree")
    data = load_mnist("test")
    pixels = (data.images[:2000].flatten(1).float() / 255).numpy()
    np.savez(folder / "data.npz", pixels=pixels, labels=data.labels[:2000].numpy())
    command = [mlserver_python, HERE / "fit_tree.py", folder / "data.npz", folder]
    subprocess.run(command, check=True, timeout=120)
    return folder


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def running(command: Sequence[object], folder: Path, ready: str) -> Iterator[None]:
    """Run a server meanwhile; it is ready when `ready` answers."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            with suppress(OSError), urllib.request.urlopen(ready, timeout=5):
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        else:
            pytest.fail((folder / "server.log").read_text()[-2000:])
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # With whatever it has started.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def mlserver(mlserver_python: Path, fitted: Path) -> Iterator[str]:
    """The address of a tree that MLServer serves."""
    port, folder = free_port(), fitted / "mlserver"
    folder.mkdir()
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,
    }
    model = {
        "name": "digits",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(fitted / "model.joblib")},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    address = f"http://127.0.0.1:{port}"
    command = [mlserver_python.with_name("mlserver"), "start", folder]
    with running(command, folder, f"{address}/v2/models/digits/ready"):
        yield f"{address}/digits"


@pytest.fixture(scope="module")
def triton(fitted: Path) -> Iterator[str]:
    """The address of the same tree that Triton serves."""
    python = environment("triton", "/usr/bin/python3", ["nvidia-pytriton==0.7.0"])
    port, folder = free_port(), fitted / "triton"
    folder.mkdir()
    address = f"http://127.0.0.1:{port}"
    command = [python, HERE / "triton_server.py", fitted / "tree.npz", port, free_port()]
    with running(command, folder, f"{address}/v2/models/digits/ready"):
        yield f"{address}/digits"


class HereTree:
    """The same tree in this process."""

    name, channels, input_size, classes = "tree", 1, 28, CLASSES
    device = torch.device("cpu")

    def __init__(self, path: Path) -> None:
        self._tree = Tree(path)

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(b"tree").hexdigest()

    def predict(self, images: Tensor) -> islands.Prediction:
        found = self._tree((images.float() / 255).flatten(1).numpy())
        logits = log_of(torch.from_numpy(found.astype(np.float32)))
        return islands.Prediction(logits.softmax(1), logits)


def described(**settings: object) -> str:
    path = Path("description.json")
    path.write_text(json.dumps({**DESCRIBED, **settings}))
    return str(path)


def evolved(network: object, store: Path) -> str:
    """Return the digest of everything that an archive holds."""
    islands.evolve(network, encoding="cppn", generations=20, evolve=BUDGET, store=store, seed=4)  # type: ignore[arg-type]
    return StoreReader(store).digest(0)


SERVERS: dict[str, dict[str, str]] = {"mlserver": {"output": "predict_proba"}, "triton": {}}


@pytest.mark.parametrize("server", SERVERS)
class TestReal(ClassifierTests):
    """The suite of all classifiers, and archives."""

    @pytest.fixture
    def network(self, server: str, request: pytest.FixtureRequest) -> dict[str, object]:
        name = f"kserve:{request.getfixturevalue(server)}"
        return {"name": name, "description": described(**SERVERS[server])}

    @pytest.fixture
    def classifier(self, network: dict[str, str]) -> ServedClassifier:
        found = load_classifier(**network, device=torch.device("cpu"))  # type: ignore[arg-type]
        assert isinstance(found, ServedClassifier)
        return found

    def test_the_archive_is_that_of_the_network_here(
        self, network: dict[str, object], server: str, fitted: Path, tmp_path: Path
    ) -> None:
        there = evolved(network, tmp_path / "there")
        assert there == evolved(HereTree(fitted / "tree.npz"), tmp_path / "here")

    def test_it_says_what_it_is(self, classifier: ServedClassifier, server: str) -> None:
        name = {"mlserver": "mlserver 1.7.1, JSON", "triton": "triton 2.51.0, binary"}
        assert classifier.engine.name == name[server]
        assert classifier.batch_size == {"mlserver": 16, "triton": 8}[server]

    def test_a_card_of_it(self, network: dict[str, object], server: str, tmp_path: Path) -> None:
        command = ["card", json.dumps(network), "--images", "2000", "--seeds", "1", "--out", "card"]
        assert execute(command) == 0
        card = json.loads(Path("card/card.json").read_text())
        assert {each["access"] for each in card["attacks"]} == {"black box"}
        assert "lets no gradients pass" in card["missing"]["gradients"]


def test_what_the_server_refuses_is_told(triton: str) -> None:
    """Triton's own words, in a line."""
    with pytest.raises(islands.errors.NetworkError, match=r"answers 400: .*wrong.*; expected") as refusal:
        load_classifier(f"kserve:{triton}", description=described(input="wrong"), device=torch.device("cpu"))
    assert "\n" not in str(refusal.value)


def test_labels_are_no_scores(mlserver: str) -> None:
    with pytest.raises(islands.errors.NetworkError, match=r"output predict of type INT64; .* predict_proba"):
        load_classifier(f"kserve:{mlserver}", description=described(), device=torch.device("cpu"))
