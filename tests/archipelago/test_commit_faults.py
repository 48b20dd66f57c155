"""Commits that fail now and then change no bit of a run; one that fails for good ends it, to be resumed."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing
from itertools import chain, repeat
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest

from islands.archipelago import committer
from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import IslandHost, build_host
from islands.config import RunConfig, WorkConfig
from islands.errors import IslandFailedError, StoreError, StoreLockedError
from islands.evolution import records
from islands.evolution.checkpoint import Checkpoint
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.store.location import Location
from islands.store.reader import StoreReader
from tests.archipelago.conftest import Evolution, evolve, recording_host, small_config, stored_config
from tests.archipelago.conftest import digest as digest_of
from tests.chaos import digest
from tests.store.comparing import assert_same
from tests.store.faults import failing_commits, first, nothing, some
from tests.store.object_storage import BUCKET, environment

ROOT = Path(__file__).parents[2]


def stored(store: Path | str, **sections: Any) -> RunConfig:
    chosen: dict[str, Any] = {"runs": 1, "checkpoint": {"every_s": 1e-3}, **sections}
    chosen["workers"] = {"executor": "in-process", **sections.get("workers", {})}
    return stored_config(store, **chosen)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "PAUSES_S", (0.0,) * 12)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the run that nothing disturbed."""
    return digest(launch(stored(tmp_path_factory.mktemp("whole") / "run")).path)


@pytest.mark.slow
def test_a_run_goes_on_where_commits_fail_now_and_then(whole: str, tmp_path: Path, impatient: None) -> None:
    config = stored(tmp_path / "run")
    plans = chain([first("set", "before"), first("commit", "after")], some(Random(0), 0.5))
    with failing_commits(plans):
        launch(config)
    assert digest(tmp_path / "run") == whole
    journal = (tmp_path / "run/log.jsonl").read_text()
    assert "next try in" in journal
    assert "No space left on device" in journal


@pytest.mark.slow
def test_a_commit_that_fails_for_good_ends_the_run_which_resumes(
    whole: str, tmp_path: Path, impatient: None
) -> None:
    store = tmp_path / "run"
    for_good = chain([nothing], repeat(first("commit", "before", 99)))
    with failing_commits(for_good), pytest.raises(StoreError, match="No space left"):
        launch(stored(store))
    assert len(StoreReader(store).checkpoints()) == 1
    assert resume(str(store)).complete
    assert digest(store) == whole


class Disturbed(NamedTuple):
    """What a run committed although commits failed, and how it ended."""

    commits: list[Checkpoint]
    tries: int
    error: BaseException | None


def disturbed(config: WorkConfig, failures: Sequence[Exception], host: IslandHost | None = None) -> Disturbed:
    """Let the first tries to commit the second checkpoint and those after it fail so."""
    commits: list[Checkpoint] = []
    left = iter(failures)
    tries = 0

    def commit(checkpoint: Checkpoint, complete: bool) -> None:
        nonlocal tries
        if commits and (failure := next(left, None)) is not None:
            tries += 1
            raise failure
        commits.append(checkpoint)

    error = None
    with closing(InProcessExecutor(host or build_host(config), 2, 1)) as executor:
        try:
            Archipelago(config, 10, executor, commit, lambda _: None).evolve()
        except Exception as raised:
            error = raised
    return Disturbed(commits, tries, error)


OFTEN = small_config(checkpoint={"every_s": 1e-6})
FULL = OSError(errno.ENOSPC, "No space left on device")


def test_what_others_than_the_store_commit_is_tried_again_too(
    undisturbed: Evolution, impatient: None
) -> None:
    found = disturbed(OFTEN, [FULL] * 5)
    assert (found.tries, found.error) == (5, None)
    assert digest_of(found.commits[-1]) == digest_of(undisturbed.last)
    assert_all_rows(found.commits, undisturbed)


@pytest.mark.slow
def test_a_lost_lock_is_not_tried_again() -> None:
    found = disturbed(OFTEN, [StoreLockedError("another writes")] * 9)
    assert isinstance(found.error, StoreLockedError)
    assert (found.tries, len(found.commits)) == (1, 1)


def test_nothing_is_committed_upon_what_failed_for_good(impatient: None) -> None:
    found = disturbed(OFTEN, [FULL] * (len(committer.PAUSES_S) + 1))
    assert found.error is FULL
    assert found.tries == len(committer.PAUSES_S) + 1
    assert len(found.commits) == 1


def test_a_commit_that_waits_behind_one_that_failed_for_good_is_not_tried() -> None:
    committed: list[int] = []

    def commit() -> None:
        raise StoreLockedError("another writes")

    def two() -> None:
        with committer.Committer() as commits:
            commits.submit("epoch 1", commit)
            commits.submit("epoch 2", lambda: committed.append(2))

    with pytest.raises(StoreLockedError, match="another writes"):
        two()
    assert committed == []


@pytest.mark.slow
def test_a_failing_island_ends_a_run_whose_last_commit_is_tried_again(
    undisturbed: Evolution, impatient: None
) -> None:
    config = small_config(checkpoint={"every_s": 1e-6})
    host, _ = recording_host(config, fail_at=25)
    found = disturbed(config, [FULL] * 3, host)
    assert isinstance(found.error, IslandFailedError)
    assert found.tries == 3
    resumed = evolve(config, InProcessExecutor(build_host(config), 2, 1), checkpoint=found.commits[-1])
    assert digest_of(resumed.last) == digest_of(undisturbed.last)
    assert_all_rows([*found.commits, *resumed.commits], undisturbed)


def test_a_second_interrupt_waits_for_no_further_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "PAUSES_S", (1e6,) * 3)
    tried = threading.Event()

    def commit() -> None:
        tried.set()
        raise FULL

    def interrupted() -> None:
        with committer.Committer() as commits:
            commits.submit("epoch 1", commit)
            assert tried.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as told:
        interrupted()
    assert told.value.__notes__ == [f"the last commit failed as well: {FULL}"]


@pytest.mark.slow
def test_islands_that_wait_for_nobody_do_not_wait_for_a_commit(impatient: None) -> None:
    config = small_config(islands={"asynchronous": True}, checkpoint={"every_s": 1e-6})
    found = disturbed(config, [FULL] * 5)
    assert (found.tries, found.error) == (5, None)
    assert sum(len(commit.runs[0].curves) for commit in found.commits) == found.commits[-1].epoch + 1


def assert_all_rows(commits: Sequence[Checkpoint], undisturbed: Evolution) -> None:
    """Check that history, migrations and curves are whole, whatever the commits that brought them."""
    for number in range(len(undisturbed.last.runs)):
        runs, expected = ([each.runs[number] for each in some] for some in (commits, undisturbed.commits))
        assert_same(
            records.stack([run.history for run in runs]), records.stack([run.history for run in expected])
        )
        assert_same(
            records.stack([run.migrations for run in runs]),
            records.stack([run.migrations for run in expected]),
        )
        assert_same(
            np.concatenate([run.curves for run in runs]), np.concatenate([run.curves for run in expected])
        )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_held_out_scores_come_back(tmp_path: Path, seed: int, impatient: None) -> None:
    """What was taken from the scorers for a commit that failed is in one that did not."""
    config = stored(tmp_path / "run", held_out=["linear-mnist"])
    with failing_commits(some(Random(seed), 0.5)):
        reader = launch(config)
    (scores,) = reader.scores()
    assert_same(scores.runs[0].ids, reader.elites(0).ids)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_many_more_faults(whole: str, tmp_path: Path, seed: int, impatient: None) -> None:
    with failing_commits(some(Random(seed), 0.5)):
        launch(stored(tmp_path / "run", checkpoint={"every_s": 1e-3, "keep": 2}))
    assert digest(tmp_path / "run") == whole


@pytest.mark.slow
def test_on_ray(whole: str, tmp_path: Path, ray_cluster: None, impatient: None) -> None:
    workers = {"executor": "ray", "count": 2}
    with failing_commits(some(Random(3))):
        launch(stored(tmp_path / "run", workers=workers))
    assert digest(tmp_path / "run") == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_in_a_bucket(whole: str, seed: int, s3: dict[str, str], impatient: None) -> None:
    with environment(s3):
        url = f"s3://{BUCKET}/{uuid.uuid4().hex}/run"
        with failing_commits(some(Random(seed), 0.5)):
            launch(stored(url))
        assert digest(Location.of(url)) == whole


SMALL_FILES = """
import resource, sys, time
from islands.config import RunConfig
from islands.runs.launch import launch

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
failures = 0

def observe(progress):
    global failures
    failures = max(failures, progress.commit_failures)
    limited = progress.epoch >= 2 and failures < 3
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 if limited else hard, hard))
    if limited:
        time.sleep(0.1)  # for the next try, or nobody is left to lift the limit

launch(RunConfig.model_validate_json(sys.argv[1]), observe)
print(failures)
"""
"""Evolves, while for some time no file may grow beyond 100 bytes."""


@pytest.mark.slow
def test_files_that_may_not_grow_for_a_while(tmp_path: Path) -> None:
    """Real failures: of chunks, of references and of the journal, until the limit is lifted."""
    config = stored(tmp_path / "run", evolve={"generations": 200}, checkpoint={"every_s": 0.1})
    command = [sys.executable, "-c", SMALL_FILES, config.model_dump_json()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    assert "Traceback" not in done.stderr
    expected = launch(stored(tmp_path / "whole", evolve={"generations": 200})).path
    assert digest(tmp_path / "run") == digest(expected)
