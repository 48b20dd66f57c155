"""Looking at a store from a stranger runs no code, opens no file and joins no cluster that it names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zarr

import islands
from islands.cli.main import app, execute
from islands.errors import InputError, NetworkError
from islands.runs.comparison import transfer
from islands.runs.verify import verify
from islands.store.reader import StoreReader
from islands.store.repository import open_repository

Capture = pytest.CaptureFixture[str]

EVIL = """
import pathlib
pathlib.Path({marker!r}).touch()
def build():
    raise RuntimeError("called")
"""

NAMES = (
    "file:{evil}:build",
    "evil:build",
    "ensemble:lenet-mnist+file:{evil}:build",
    "weakest:svm-mnist+evil:build",
    "label-only:file:{evil}:build",
    "stability:label-only:evil:build",
    "torchscript:{evil}",
    "exported:{evil}",
    "openvino:{evil}",
    "caffe:lenet:{evil}",
    "trained:0123456789abcdef",
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trust") / "run"
    small = {"initial": 10, "children": 10}
    islands.evolve("lenet-mnist", generations=10, store=path, evolve=small, held_out=["linear-mnist"])
    return path


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the current folder that makes a file beside it when it is imported."""
    module = tmp_path / "evil.py"
    module.write_text(EVIL.format(marker=str(tmp_path / "marker")))
    monkeypatch.chdir(tmp_path)
    return module


def spoil(template: Path, store: Path, change: Callable[[dict[str, Any]], None], network: Any = None) -> Path:
    """Copy a store, change its configuration, and the settings of the network that scored it."""
    shutil.copytree(template, store)
    session = open_repository(store).writable_session("main")
    root = zarr.open_group(session.store, mode="r+")
    config: Any = root.attrs["config"]
    change(config)
    root.attrs["config"] = config
    scores: Any = root["evolve/run-0/scores"]
    for _, group in scores.groups():
        group.attrs["settings"] = {**group.attrs["settings"], **(network or {})}
    session.commit("from a stranger")
    return store


@pytest.fixture
def hostile(template: Path, evil: Path) -> Path:
    """A store that names code wherever it can name anything."""
    name = f"file:{evil}:build"

    def change(config: dict[str, Any]) -> None:
        network = {**config["network"], "name": name, "weights": str(evil)}
        config.update(network=network, held_out=[network], pipeline="evil", parameters={"name": name})
        config["loggers"].update(journal=str(evil.parent / "log"), tensorboard=str(evil.parent / "board"))
        config["ray"]["address"] = "10.255.255.1:6379"

    return spoil(template, evil.parent / "hostile", change, {"name": name, "weights": str(evil)})


def left(folder: Path) -> set[str]:
    """Return what in a folder only the store's own names can have made."""
    return {path.name for path in folder.iterdir()} & {"marker", "log", "board", "__pycache__"}


READS = {
    "status": [],
    "query": ["select * from scores"],
    "show": ["--sheet"],
    "export": ["exported"],
    "lineage": ["--class", "3"],
    "figure": ["elites"],
    "report": [],
    "tag": ["first"],
    "prune": ["--keep", "2"],
    "score": ["--network", "linear-mnist", "--out", "scores.json"],
}
"""Commands that look at a store and have no need of its networks."""
REFUSED = {"verify": [], "transfer": [], "score": ["--network", "linear-mnist", "--ray"]}
"""Commands that would load what a store names, or join its cluster."""
OTHERS = {
    # They run, or read, what they are given.
    *("launch", "resume", "plan", "doctor", "bench", "compare", "card", "cards", "paper"),
    *("cluster-file", "explain", "networks", "pipelines", "init", "version", "logs", "stop"),
    *("findings", "view"),  # below
    # What there is to choose from.
    *("encodings", "measures", "emitters", "parents", "topologies", "selections", "replacements", "loggers"),
    "stages",
}


def test_every_command_is_here() -> None:
    names = {each.name for each in app.registered_commands if not each.hidden}
    assert names == {*READS, *REFUSED, *OTHERS}


@pytest.mark.parametrize("command", READS)
def test_commands_that_need_no_network_do_their_work(hostile: Path, command: str) -> None:
    assert execute([command, str(hostile), *READS[command]]) == 0
    assert not left(hostile.parent)


@pytest.mark.parametrize("command", REFUSED)
def test_commands_that_need_one_refuse_in_a_line(hostile: Path, command: str, capsys: Capture) -> None:
    assert execute([command, str(hostile), *REFUSED[command]]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--trust-networks" in error
    assert ("10.255.255.1" if command == "score" else "evil.py:build") in error
    assert not left(hostile.parent)


def test_findings_and_the_live_page_run_nothing(hostile: Path) -> None:
    from islands.reports.server import LiveServer

    assert execute(["findings", str(hostile)]) == 2
    server = LiveServer(hostile, "127.0.0.1", 0)
    server.refresh()
    server.close()
    assert not left(hostile.parent)


def test_python_is_as_careful(hostile: Path) -> None:
    opened = islands.open(hostile)
    assert opened.image(3).shape == (28, 28, 1)
    assert opened.query("select count(*) as n from scores")["n"].tolist() == [10]
    for look in (verify, lambda store: transfer([store])):
        with pytest.raises(NetworkError, match="--trust-networks"):
            look(hostile)
    assert not left(hostile.parent)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["source", "held out", "weights"])
def test_whatever_names_code_or_a_file_is_refused(template: Path, evil: Path, name: str, where: str) -> None:
    named = {"name": name.format(evil=evil)} if where != "weights" else {"weights": str(evil)}

    def change(config: dict[str, Any]) -> None:
        config["network"].update({} if where == "held out" else named)

    store = spoil(template, evil.parent / "store", change, named if where == "held out" else None)
    with pytest.raises(NetworkError, match="--trust-networks"):
        transfer([store])
    if where != "held out":
        with pytest.raises(NetworkError, match="--trust-networks"):
            verify(store)
    assert not left(evil.parent)


def test_the_flag_loads_them(template: Path, evil: Path, capsys: Capture) -> None:
    evil.write_text(
        "from islands.classifiers.lenet import load_lenet\n"
        "def build():\n"
        "    found = load_lenet().module\n"
        "    found.classes, found.input_size, found.channels = '0123456789', 28, 1\n"
        "    return found\n"
    )
    store = spoil(
        template, evil.parent / "store", lambda config: config["network"].update(name=f"file:{evil}:build")
    )
    assert execute(["verify", str(store), "--trust-networks"]) == 0
    asked = ["transfer", str(store), "--controls", "5", "--trust-networks", "--json"]
    assert execute(asked) == 0
    assert "no controls" not in capsys.readouterr().out
    assert execute(["transfer", str(store), "--controls", "0"]) == 0


def test_settings_that_mean_nothing_are_damage(template: Path, tmp_path: Path) -> None:
    store = spoil(template, tmp_path / "store", lambda _: None, {"name": "linear-mnist", "device": "evil"})
    with pytest.raises(InputError, match="mean nothing"):
        transfer([store])


def test_networks_of_ours_need_no_flag(template: Path) -> None:
    assert not verify(template).mismatches
    assert {entry.source for entry in transfer([template], controls=5).entries} > {"lenet-mnist"}


def test_what_a_resume_loads_is_told(template: Path, evil: Path, capsys: Capture) -> None:
    store = spoil(
        template, evil.parent / "store", lambda config: config["network"].update(name=f"file:{evil}:build")
    )
    assert execute(["resume", str(store), "--set", "evolve.generations=20"]) != 0
    assert f"names the network 'file:{evil}:build'" in capsys.readouterr().err
    assert StoreReader(store).epoch == 1
