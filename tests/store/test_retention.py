from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from islands.cli.main import execute
from islands.config import CheckpointConfig
from islands.errors import StoreError
from islands.store.reader import StoreReader
from islands.store.status import read_status
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes
from tests.store.samples import make_checkpoint, make_config, make_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "run"
    with make_store(path, runs=1) as writer:
        for epoch in (0, 3):
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    """A closed store of one run with checkpoints of epochs 0 and 3."""
    return Path(shutil.copytree(template, tmp_path / "run"))


def grow(store: Path, epochs: range, keep: int | None) -> None:
    """Commit `epochs`, of which each changes everything."""
    config = make_config(store, runs=1).model_copy(update={"checkpoint": CheckpointConfig(keep=keep)})
    with StoreWriter.open(store) as writer:
        writer.set_config(config)
        for epoch in epochs:
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)


def epochs_of(store: Path) -> list[int]:
    return [info.epoch for info in StoreReader(store).checkpoints()]


class TestKeep:
    def test_size_is_bounded(self, store: Path) -> None:
        """However many commits, about `keep` are on the disk, and the last resumes."""
        files = []
        for start in range(4, 34, 10):
            grow(store, range(start, start + 10), keep=4)
            files.append(sum(1 for _ in store.rglob("*")))
            assert 4 <= len(epochs_of(store)) <= 6
        assert max(files) < 1.2 * files[0]
        with StoreWriter.open(store) as writer:
            assert_resumes(writer.load(), make_checkpoint(1, 33, runs=1))
        # What is appended once is never forgotten.
        assert len(StoreReader(store).curves(0)) == 32

    def test_null_keeps_all(self, store: Path) -> None:
        grow(store, range(4, 28), keep=None)
        assert epochs_of(store) == [0, 3, *range(4, 28)]

    def test_every_kept_checkpoint_is_whole(self, store: Path) -> None:
        grow(store, range(4, 12), keep=3)
        for epoch in epochs_of(store):
            assert_resumes(StoreReader(store, epoch).checkpoint(), make_checkpoint(1, epoch, runs=1))

    def test_a_reader_has_time_to_finish(self, store: Path) -> None:
        """What a reader has opened stays until `keep` commits and a sweep have passed."""
        grow(store, range(4, 8), keep=8)
        reader = StoreReader(store)
        grow(store, range(8, 15), keep=8)
        assert_resumes(reader.checkpoint(), make_checkpoint(1, 7, runs=1))


class TestTags:
    def test_a_tagged_checkpoint_stays(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert execute(["tag", str(store), "start", "--at", "0"]) == 0
        grow(store, range(4, 12), keep=2)
        assert execute(["prune", str(store), "--keep", "1"]) == 0
        assert "2 can be read" in capsys.readouterr().out
        assert epochs_of(store) == [0, 11]
        assert_resumes(StoreReader(store, "start").checkpoint(), make_checkpoint(1, 0, runs=1))

    def test_completion_is_tagged(self, store: Path) -> None:
        """A raised budget does not take what was there when the first was spent."""
        with StoreWriter.open(store) as writer:
            writer.commit(make_checkpoint(1, 5, runs=1), complete=True)
        grow(store, range(6, 12), keep=2)
        assert StoreReader(store, "complete-5").complete
        assert StoreReader(store).checkpoints()[0].tags == ("complete-5",)

    def test_completion_is_tagged_although_the_writer_died_before(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch, StoreWriter.open(store) as writer:
            patch.setattr("islands.store.writer.tag_once", lambda *_: None)
            writer.commit(make_checkpoint(1, 5, runs=1), complete=True)
        StoreWriter.open(store).close()
        assert StoreReader(store, "complete-5").epoch == 5

    def test_a_name_is_given_once(self, store: Path) -> None:
        first, second = StoreReader(store).checkpoints()
        with StoreWriter.open(store) as writer:
            writer.tag("name", first.id)
            writer.tag("name", first.id)
            with pytest.raises(StoreError, match="another checkpoint tagged name; choose another"):
                writer.tag("name", second.id)


class TestCommand:
    def test_gc_without_keep_does_as_configured(
        self, store: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        grow(store, range(4, 9), keep=None)
        grow(store, range(9, 10), keep=3)
        assert execute(["prune", str(store)]) == 0
        assert capsys.readouterr().out.startswith("forgot ")
        assert epochs_of(store) == [7, 8, 9]

    def test_gc_frees_the_space_of_forgotten_checkpoints(self, store: Path) -> None:
        grow(store, range(4, 16), keep=None)
        before = read_status(store).bytes
        assert execute(["prune", str(store), "--keep", "1"]) == 0
        assert read_status(store).bytes < before / 2
        assert_resumes(StoreReader(store).checkpoint(), make_checkpoint(1, 15, runs=1))


@pytest.mark.parametrize("keep", [1, 0, -3])
def test_fewer_than_two_are_refused(keep: int) -> None:
    """A reader would find its commit gone with the next."""
    with pytest.raises(ValueError, match="keep"):
        CheckpointConfig(keep=keep)
