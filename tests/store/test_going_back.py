"""A run goes on from an earlier checkpoint; what came after it stays, whatever of it is damaged."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from islands.cli.main import execute
from islands.errors import InputError, StoreDamagedError
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import stored_config
from tests.chaos import digest
from tests.store.comparing import assert_resumes
from tests.store.samples import make_checkpoint, make_store
from tests.store.test_damage import spoil

EPOCHS = 3


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "run"
    with make_store(path, runs=1) as writer:
        for epoch in range(EPOCHS):
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run"))


def go_on(store: Path, at: int) -> None:
    """Go back to epoch `at`, and commit all that follow again."""
    reader = StoreReader(store, at)
    reader.require_intact()
    with StoreWriter.open(store, at=reader.session.snapshot_id) as writer:
        assert_resumes(writer.load(), make_checkpoint(1, at, runs=1))
        for epoch in range(at + 1, EPOCHS + 1):
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)


def test_what_came_after_stays_under_a_tag(store: Path) -> None:
    """Twice: the store has then three ends, and each can be read."""
    left = []
    for seed in (1, 2):
        left.append(StoreReader(store).session.snapshot_id)
        with StoreWriter.open(store, at=StoreReader(store, 0).session.snapshot_id) as writer:
            writer.commit(make_checkpoint(seed, 1, runs=1), complete=False)
    tags = {info.id: info.tags for info in StoreReader(store).checkpoints()}
    assert_resumes(StoreReader(store).checkpoint(), make_checkpoint(2, 1, runs=1))
    assert_resumes(StoreReader(store, *tags[left[0]]).checkpoint(), make_checkpoint(1, 2, runs=1))
    assert_resumes(StoreReader(store, *tags[left[1]]).checkpoint(), make_checkpoint(1, 1, runs=1))
    # Of two of one epoch, an epoch means that of the branch.
    assert_resumes(StoreReader(store, 1).checkpoint(), make_checkpoint(2, 1, runs=1))


def test_the_latest_is_no_earlier_one(store: Path) -> None:
    before = StoreReader(store).checkpoints()
    StoreWriter.open(store, at=before[-1].id).close()
    assert StoreReader(store).checkpoints() == before


def files_of_the_latest(store: Path) -> list[Path]:
    """Return the files that only the latest commit needs."""
    repository = open_repository(store)
    _, before, *_ = repository.ancestry(branch="main")
    written_before = (store / "snapshots" / before.id).stat().st_mtime_ns
    kinds = ("chunks", "manifests", "snapshots", "transactions")
    files = [file for kind in kinds for file in (store / kind).iterdir()]
    return sorted(file for file in files if file.stat().st_mtime_ns > written_before)


@pytest.mark.parametrize("kind", ["snapshots", pytest.param("chunks", marks=pytest.mark.slow)])
def test_a_damaged_latest_checkpoint_ends_no_run(store: Path, kind: str) -> None:
    damaged = [file for file in files_of_the_latest(store) if file.parent.name == kind]
    assert damaged
    for file in damaged:
        file.write_bytes(b"")
    with pytest.raises(StoreDamagedError, match=rf"islands resume {store} --at EPOCH"):
        StoreReader(store).checkpoint()
    go_on(store, 1)
    assert_resumes(StoreReader(store).checkpoint(), make_checkpoint(1, EPOCHS, runs=1))
    assert len(StoreReader(store).curves(0)) == EPOCHS + 1
    with StoreWriter.open(store) as writer:
        writer.collect(1)  # nothing that is damaged is in the way


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 40, 10))
def test_whatever_is_damaged_of_the_latest(template: Path, tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 10):
        store = Path(shutil.copytree(template, tmp_path / str(seed)))
        dice = random.Random(seed)
        files = files_of_the_latest(store)
        for kind in dice.sample(["chunks", "manifests", "snapshots", "transactions"], dice.choice([1, 1, 2])):
            spoil(dice.choice([file for file in files if file.parent.name == kind]), files, dice)
        go_on(store, 1)
        assert_resumes(StoreReader(store).checkpoint(), make_checkpoint(1, EPOCHS, runs=1))
        assert len(StoreReader(store).curves(0)) == EPOCHS + 1
        assert [info.epoch for info in StoreReader(store).checkpoints() if not info.tags][-1] == EPOCHS


@pytest.mark.slow
def test_a_run_goes_back_and_comes_to_the_same_bits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = tmp_path / "run"
    workers = {"executor": "in-process"}
    launch(stored_config(store, runs=1, workers=workers, checkpoint={"every_s": 1e-3}))
    expected, (first, *_, last) = digest(store), StoreReader(store).checkpoints()
    assert execute(["resume", str(store), "--at", str(first.epoch), "--progress", "none"]) == 0
    assert digest(store) == expected
    name = f"left-{last.id[:8].lower()}"
    assert f"from an earlier checkpoint; those that came after it stay: --at {name}" in caplog.text
    assert StoreReader(store, name).complete


def test_there_must_be_such_a_checkpoint(store: Path) -> None:
    before = StoreReader(store).checkpoints()
    with pytest.raises(InputError, match="has no checkpoint 7; there are those of epochs 0, 1, 2 "):
        resume(str(store), at="7")
    assert StoreReader(store).checkpoints() == before
