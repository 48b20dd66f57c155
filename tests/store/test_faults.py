"""A commit that fails anywhere may be tried again, and the store is the one that nothing disturbed."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import icechunk
import pytest

from islands.config import CheckpointConfig
from islands.errors import StoreDamagedError, StoreError
from islands.evolution.checkpoint import Checkpoint
from islands.store.reader import StoreReader
from islands.store.repository import reading
from islands.store.writer import StoreWriter
from tests.chaos import digest, digest_of
from tests.store.comparing import assert_resumes
from tests.store.faults import STEPS, Plan, failing, first, nth
from tests.store.samples import make_checkpoint, make_config, make_store

EPOCHS = range(4, 6)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "run"
    with make_store(path, runs=1) as writer:
        for epoch in range(4):
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)
    return path


@pytest.fixture(scope="module")
def expected(template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    store = tmp_path_factory.mktemp("undisturbed") / "run"
    shutil.copytree(template, store)
    write(store, lambda _: None)
    return digest(store)


def write(store: Path, plan: Plan) -> int:
    """Commit some epochs while things fail; return how often that was."""
    keep = CheckpointConfig(keep=2)
    failures = 0
    with StoreWriter.open(store) as writer, failing(plan):
        writer.set_config(make_config(store, runs=1).model_copy(update={"checkpoint": keep}))
        for epoch in EPOCHS:
            checkpoint = make_checkpoint(1, epoch, runs=1)
            failures += tries(writer, checkpoint, complete=epoch == EPOCHS[-1])
    return failures


def tries(writer: StoreWriter, checkpoint: Checkpoint, *, complete: bool) -> int:
    """Commit until it succeeds; return how often it did not."""
    for failures in range(10):
        try:
            writer.commit(checkpoint, complete)
        except StoreError as error:
            if "No space left on device" not in str(error) or "\n" in str(error):
                raise
        else:
            return failures
    raise AssertionError("every try failed")


def assert_undisturbed(store: Path, expected: str) -> None:
    last = EPOCHS[-1]
    reader = StoreReader(store)
    checkpoint = reader.checkpoint()
    assert digest_of(reader, checkpoint) == expected
    assert_resumes(checkpoint, make_checkpoint(1, last, runs=1))
    assert StoreReader(store, f"complete-{last}").complete


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "when", "times"),
    [
        ("commit", "after", 2),
        pytest.param("set", "before", 3, marks=pytest.mark.slow),
        pytest.param("get", "before", 2, marks=pytest.mark.slow),
        pytest.param("commit", "before", 2, marks=pytest.mark.slow),
        pytest.param("create_tag", "after", 2, marks=pytest.mark.slow),
        pytest.param("sync", "before", 2, marks=pytest.mark.slow),
        pytest.param("garbage_collect", "before", 2, marks=pytest.mark.slow),
    ],
)
def test_a_step_that_fails_is_made_good(
    template: Path, tmp_path: Path, expected: str, step: str, when: str, times: int
) -> None:
    store = Path(shutil.copytree(template, tmp_path / "run"))
    write(store, first(step, when, times))
    assert_undisturbed(store, expected)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_every_step_may_fail(template: Path, tmp_path: Path, expected: str, when: str) -> None:
    seen: list[str] = []
    write(Path(shutil.copytree(template, tmp_path / "noted")), seen.append)
    assert {name for _, name in STEPS} - {"delete"} <= {*seen}
    # Reads and writes of single keys are many and alike: a sample of them, and each step of another kind.
    chosen = [n for n, name in enumerate(seen) if name not in ("get", "set", "delete") or n % 17 == 0]
    failed = 0
    for number in chosen:
        store = Path(shutil.copytree(template, tmp_path / str(number)))
        failed += write(store, nth(number, when))
        assert_undisturbed(store, expected)
        shutil.rmtree(store)
    assert failed > len(chosen) / 2


def test_what_was_accepted_unheard_is_not_written_twice_by_what_follows(
    template: Path, tmp_path: Path
) -> None:
    """Whoever gives a checkpoint up and commits the next finds the store as it would be."""
    store = Path(shutil.copytree(template, tmp_path / "run"))
    with StoreWriter.open(store) as writer:
        with failing(first("commit", "after")), pytest.raises(StoreError, match="No space left"):
            writer.commit(make_checkpoint(1, 4, runs=1), complete=False)
        assert StoreReader(store).epoch == 4
        writer.commit(make_checkpoint(1, 5, runs=1), complete=False)
    assert len(StoreReader(store).curves(0)) == 6


@pytest.mark.slow
def test_scores_are_committed_once(template: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(template, tmp_path / "run"))
    scores = make_checkpoint(8, 3, runs=1).scores
    with StoreWriter.open(store) as writer:
        before = len(StoreReader(store).checkpoints())
        with failing(first("commit", "after")):
            with pytest.raises(StoreError, match="No space left"):
                writer.commit_scores(scores)
            writer.commit_scores(scores)
        assert len(StoreReader(store).checkpoints()) == before + 1
    (found,) = StoreReader(store).scores()
    assert found.name == scores[0].name


@pytest.mark.slow
def test_a_conflict_with_oneself_is_no_lost_lock(template: Path, tmp_path: Path) -> None:
    """A bucket that gets a request twice, for its first answer was lost, refuses the second."""
    store = Path(shutil.copytree(template, tmp_path / "run"))
    commit = icechunk.Session.commit

    def twice(session: icechunk.Session, message: str, metadata: dict[str, object]) -> str:
        commit(session, message, metadata)
        raise icechunk.ConflictError("expected", "found")

    def refuse(*_: object) -> str:
        raise icechunk.ConflictError("expected", "found")

    with StoreWriter.open(store) as writer:
        with mock.patch.object(icechunk.Session, "commit", twice):
            writer.commit(make_checkpoint(1, 4, runs=1), complete=False)
        refused = make_checkpoint(1, 5, runs=1)
        with (
            mock.patch.object(icechunk.Session, "commit", refuse),
            pytest.raises(StoreError, match="though nobody else writes to it"),
        ):
            writer.commit(refused, complete=False)
        writer.commit(refused, complete=False)
    assert len(StoreReader(store).curves(0)) == 6


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(111, "refused"), OSError(24, "too many open files")]
)
def test_what_passes_is_not_told_as_damage(error: OSError) -> None:
    """Nobody should go back to an earlier checkpoint for it."""
    with pytest.raises(StoreError, match="cannot be read now") as told, reading(Path("store"), "a run"):
        raise error
    assert not isinstance(told.value, StoreDamagedError)
    with pytest.raises(StoreDamagedError), reading(Path("store"), "a run"):
        raise FileNotFoundError(2, "a chunk")


def test_a_store_that_could_not_be_made_is_not_in_the_way(tmp_path: Path) -> None:
    with failing(first("commit", "before")), pytest.raises(StoreError, match="No space left"):
        make_store(tmp_path / "run", runs=1)
    make_store(tmp_path / "run", runs=1).close()
