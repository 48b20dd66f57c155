from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import icechunk
import pytest
import zarr

from islands.errors import StoreError, StoreNotFoundError, StoreVersionError
from islands.store.reader import StoreReader
from islands.store.repository import create_repository, open_repository
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes, assert_same
from tests.store.samples import FINGERPRINT, make_checkpoint, make_config, make_names

ROOT = Path(__file__).parents[2]


_EXITS_AT_ONCE = """
import sys, threading, time
from pathlib import Path
from islands.store.repository import open_repository, open_root
from zarr.core.sync import _get_loop

loop = _get_loop()
tell = loop.call_soon_threadsafe

def tell_slowly(*arguments, **options):
    handle = tell(*arguments, **options)
    if threading.current_thread() is not threading.main_thread():
        time.sleep(0.02)
    return handle

loop.call_soon_threadsafe = tell_slowly
path = Path(sys.argv[1])
list(open_root(path, open_repository(path).readonly_session("main")))
"""
"""Icechunk's thread is slow to come back from Python, as it is now and then where cores are busy."""


def test_a_process_ends_after_icechunk_s_threads(store: Path) -> None:
    command = [sys.executable, "-c", _EXITS_AT_ONCE, str(store)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


class TestContent:
    def test_attributes(self, store: Path) -> None:
        reader = StoreReader(store)
        assert reader.config == make_config(Path(reader.config.store))
        assert list(reader.classes) == make_names(10)
        assert (reader.runs, reader.epoch, reader.generation, reader.complete) == (2, 3, 30, False)
        assert reader.attributes["fingerprint"] == FINGERPRINT
        assert reader.attributes["image"] == {"channels": 3, "size": 16}
        assert reader.attributes["versions"]["zarr"] == zarr.__version__

    def test_genome_of_one_class(self, store: Path) -> None:
        reader = StoreReader(store)
        expected = {name: array[4:5] for name, array in reader.elites(1).genomes.items()}
        assert_same(reader.genome(1, 4), expected)

    def test_imports_neither_torch_nor_ray(self) -> None:
        code = (
            "import sys\n"
            "import islands.store.export, islands.store.query, islands.store.status, islands.store.writer\n"
            "assert not {'torch', 'ray'} & sys.modules.keys()"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

    def test_moved_store(self, store: Path, tmp_path: Path) -> None:
        """Ray #28082: a moved run directory resumes."""
        moved = store.rename(tmp_path / "moved")
        with StoreWriter.open(moved) as writer:
            assert_resumes(writer.load(), make_checkpoint(1, 3))


class TestErrors:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(StoreNotFoundError, match="there is no store at"):
            StoreReader(tmp_path / "nowhere")
        assert not (tmp_path / "nowhere").exists()

    def test_foreign_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreNotFoundError, match="not an Islands store"):
            StoreReader(tmp_path)

    def test_foreign_repository(self, tmp_path: Path) -> None:
        session = create_repository(tmp_path / "other").writable_session("main")
        zarr.open_group(session.store, mode="w")
        session.commit("not ours")
        with pytest.raises(StoreNotFoundError, match="no store made by"):
            StoreReader(tmp_path / "other")

    @pytest.mark.parametrize("open_store", [StoreReader, StoreWriter.open])
    def test_other_schema_version(self, store: Path, open_store: type[StoreReader]) -> None:
        session = open_repository(store).writable_session("main")
        zarr.open_group(session.store, mode="r+").attrs["schema_version"] = 99
        session.commit("from the future")
        with pytest.raises(StoreVersionError, match="schema version 99"):
            open_store(store)

    def test_unknown_run(self, store: Path) -> None:
        with pytest.raises(StoreError, match="runs 0 to 1"):
            StoreReader(store).elites(2)


def test_repository_never_initialised(tmp_path: Path) -> None:
    """A store killed before its first commit is empty, not a crash."""
    repository = create_repository(tmp_path / "run")
    assert isinstance(repository, icechunk.Repository)
    with pytest.raises(StoreNotFoundError, match="was begun, and nothing is in it yet"):
        StoreReader(tmp_path / "run")
