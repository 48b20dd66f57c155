"""A store, or a file, from somebody else: it holds arrays, text and JSON, runs nothing and leads nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import icechunk
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype

from islands.cli.main import execute
from islands.errors import ConfigError, StoreDamagedError
from islands.experiments.configure import load_run_config
from islands.store.reader import StoreReader
from tests.store.samples import make_checkpoint, make_store

CHECKOUT = Path(__file__).parents[2]
ARRAY = "evolve/run-0/elites/fitness"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    with make_store(tmp_path / "run") as writer:
        writer.commit(make_checkpoint(1, 0), complete=True)
    return tmp_path / "run"


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._file),)


def test_pickled_content_is_refused_and_not_run(stranger: Path, tmp_path: Path) -> None:
    """An object array with a codec that unpickles, as numcodecs has one."""
    made = tmp_path / "made"
    session = _session(stranger)
    metadata = json.loads(_get(session, f"{ARRAY}/zarr.json"))
    metadata["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
    _set(session, f"{ARRAY}/zarr.json", json.dumps(metadata).encode())
    _set(session, f"{ARRAY}/c/0", pickle.dumps(Payload(made)))
    session.commit("evil")
    with pytest.raises(StoreDamagedError):
        StoreReader(stranger).elites(0)
    assert not made.exists()
    pickle.loads(pickle.dumps(Payload(made)))  # it would have been noticed
    assert made.exists()


def test_object_arrays_are_refused(stranger: Path) -> None:
    session = _session(stranger)
    metadata = json.loads(_get(session, f"{ARRAY}/zarr.json"))
    _set(session, f"{ARRAY}/zarr.json", json.dumps({**metadata, "data_type": "object"}).encode())
    session.commit("evil")
    with pytest.raises(StoreDamagedError):
        StoreReader(stranger).elites(0)


def test_a_chunk_that_lies_outside_is_not_followed(stranger: Path, tmp_path: Path) -> None:
    """Icechunk can name files and URLs as chunks; readers have to allow it, and ours does not."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 4096)
    config = icechunk.RepositoryConfig.default()
    container = icechunk.VirtualChunkContainer(
        f"file://{tmp_path}/", icechunk.local_filesystem_store(str(tmp_path))
    )
    config.set_virtual_chunk_container(container)
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(str(stranger)), config=config)
    repository.save_config()
    session = repository.writable_session("main")
    session.store.set_virtual_ref(f"{ARRAY}/c/0", f"file://{secret}", offset=0, length=40)
    session.commit("evil")
    with pytest.raises(StoreDamagedError):
        StoreReader(stranger).elites(0)


def test_paths_in_a_store_are_not_opened_by_those_who_only_read(stranger: Path, tmp_path: Path) -> None:
    module = tmp_path / "evil.py"
    module.write_text("raise SystemExit('imported')")
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"")
    session = _session(stranger)
    root = zarr.open_group(session.store, mode="r+")
    config: Any = root.attrs["config"]
    network = {**config["network"], "name": f"file:{module}:build", "weights": str(weights)}
    root.attrs["config"] = {**config, "network": network, "store": str(tmp_path / "elsewhere")}
    session.commit("evil")
    code = f"""
import sys
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from islands.cli.main import execute
for command in (["status"], ["query", "select count(*) from elites"], ["export", "out", "--layout", "zarr"]):
    assert execute([command[0], {str(stranger)!r}, *command[1:]]) == 0, command
assert not {{{str(module)!r}, {str(weights)!r}}} & set(opened)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -6), done.stderr  # -6: Icechunk at the interpreter's exit
    assert not done.stderr
    assert not (tmp_path / "elsewhere").exists()


def test_yaml_runs_nothing(tmp_path: Path) -> None:
    file, made = tmp_path / "run.yaml", tmp_path / "made"
    file.write_text(f"pipeline: mnist_cppn\nstore: !!python/object/apply:os.mkdir ['{made}']\n")
    with pytest.raises(ConfigError):
        load_run_config(file)
    assert execute(["launch", str(file)]) == 2
    assert not made.exists()


def _session(store: Path) -> icechunk.Session:
    return icechunk.Repository.open(icechunk.local_filesystem_storage(str(store))).writable_session("main")


def _get(session: icechunk.Session, key: str) -> bytes:
    value = asyncio.run(session.store.get(key, default_buffer_prototype()))
    assert value is not None
    return bytes(value.to_bytes())


def _set(session: icechunk.Session, key: str, value: bytes) -> None:
    asyncio.run(session.store.set(key, default_buffer_prototype().buffer.from_bytes(value)))
