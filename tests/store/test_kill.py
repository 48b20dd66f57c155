"""A commit that is cut off anywhere leaves a whole checkpoint, the one before or the new one."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import icechunk
import pytest

from islands.config import CheckpointConfig
from islands.errors import StoreExistsError, StoreLockedError, StoreNotFoundError
from islands.files import BEGUN
from islands.store.lock import StoreLock
from islands.store.reader import StoreReader
from islands.store.status import stores_in
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes
from tests.store.samples import make_checkpoint, make_config, make_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

_STEPS: tuple[tuple[Any, str], ...] = (
    (icechunk.IcechunkStore, "set"),
    (icechunk.IcechunkStore, "delete"),
    (icechunk.Session, "commit"),
    (icechunk.Repository, "create_tag"),
    (icechunk.Repository, "expire_snapshots"),
    (icechunk.Repository, "garbage_collect"),
    (os, "sync"),
    (os, "pwrite"),
    (os, "ftruncate"),
)
"""Everything by which a writer changes a disk."""


def write(path: Path) -> None:
    """Open the store, commit epoch 4, which completes it, and forget old commits: all that a writer does."""
    with StoreWriter.open(path) as writer:
        writer.set_config(
            make_config(path, runs=1).model_copy(update={"checkpoint": CheckpointConfig(keep=2)})
        )
        writer.commit(make_checkpoint(1, 4, runs=1), complete=True)


_STEPS_OF_MAKING: tuple[tuple[Any, str], ...] = (
    (Path, "mkdir"),
    (os, "pwrite"),
    (icechunk.Repository, "create"),
    (icechunk.Session, "commit"),
    (Path, "rename"),
    (Path, "rmdir"),
)
"""Everything by which a store is made; the groups in it count with their commit."""


def make(path: Path) -> None:
    """Make a store, and leave it."""
    make_store(path, runs=1).close()


def write_and_die(path: Path, last: int) -> None:
    """Do `write`, but be killed before step number `last`, counted from 0."""
    _die(lambda: write(path), _STEPS, last)


def make_and_die(path: Path, last: int) -> None:
    """Do `make`, likewise."""
    _die(lambda: make(path), _STEPS_OF_MAKING, last)


def _die(work: Callable[[], None], at: tuple[tuple[Any, str], ...], last: int) -> None:
    steps = iter(range(last))

    def counted(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **options)

        return call

    for owner, name in at:
        setattr(owner, name, counted(getattr(owner, name)))
    work()


_KILL_AT_EVERY_STEP = """
import os, shutil, sys
from pathlib import Path

# All that is slow to import but Icechunk, which must not be imported before a fork.
import pytest, zarr, islands.config.own_code, islands.evolution.checkpoint

template, folder = map(Path, sys.argv[1:])
for step in range(1000):
    copy = shutil.copytree(template, folder / f"{step:04}")
    child = os.fork()
    if child == 0:
        from tests.store.test_kill import write_and_die

        write_and_die(copy, step)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
"""
"""Copies the template for each step of `write`, and lets a process die there; ends when one comes through."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one run with commits of epochs 0 to 3."""
    path = tmp_path_factory.mktemp("template") / "run"
    with make_store(path, runs=1) as writer:
        for epoch in range(4):
            writer.commit(make_checkpoint(1, epoch, runs=1), complete=False)
    return path


def test_every_step_may_be_the_last(template: Path, tmp_path: Path) -> None:
    """Ray #27790: kill -9 at every write step leaves a loadable checkpoint."""
    command = [sys.executable, "-c", _KILL_AT_EVERY_STEP, str(template), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=200)
    copies = sorted(tmp_path.iterdir())
    assert len(copies) > 50
    epochs = []
    for copy in copies:
        reader = StoreReader(copy)
        assert reader.epoch is not None
        epochs.append(reader.epoch)
        assert epochs[-1] in (3, 4)
        assert_resumes(reader.checkpoint(), make_checkpoint(1, epochs[-1], runs=1))
        assert reader.complete == (reader.epoch == 4)
    assert epochs == sorted(epochs), "what was committed was lost again"
    assert set(epochs) == {3, 4}


def test_making_may_end_at_any_step(tmp_path: Path) -> None:
    """What is left is no store, and is in nobody's way; or it is a whole store."""
    process = "import sys; from pathlib import Path; from tests.store.test_kill import make_and_die\n"
    made = []
    for step in range(100):
        path = tmp_path / str(step) / "run"
        command = [sys.executable, "-c", f"{process}make_and_die(Path(sys.argv[1]), {step})", str(path)]
        ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        made.append(path in stores_in(tmp_path))
        if made[-1]:
            assert StoreReader(path).epoch is None
        else:
            with pytest.raises(StoreNotFoundError):
                StoreReader(path)
            make(path)
        write(path)
        assert StoreReader(path).complete
        assert not (path / BEGUN).exists() or made[-1]
    assert len(made) > 8
    assert made == sorted(made)
    assert set(made) == {False, True}


def test_what_is_somebodys_is_no_begun_store(tmp_path: Path) -> None:
    path = tmp_path / "run"
    (path / BEGUN).mkdir(parents=True)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(StoreExistsError, match="is not empty"):
        make(path)
    assert (path / "notes.txt").read_text() == "mine"


def test_two_do_not_make_one_store(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.mkdir()
    lock = StoreLock(path)
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        make(path)
    lock.release()
    make(path)
    with pytest.raises(StoreExistsError):
        make(path)


def test_a_writer_goes_on_after_any_step(template: Path, tmp_path: Path) -> None:
    """The second attempt ends where the first would have, whatever the first left behind."""
    process = "import sys; from pathlib import Path; from tests.store.test_kill import write_and_die\n"
    for step in (3, 30):
        copy = shutil.copytree(template, tmp_path / str(step))
        code = f"{process}write_and_die(Path(sys.argv[1]), {step})"
        killed = subprocess.run([sys.executable, "-c", code, copy], cwd=ROOT, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        write(copy)
        assert_resumes(StoreReader(copy).checkpoint(), make_checkpoint(1, 4, runs=1))
        assert [info.epoch for info in StoreReader(copy).checkpoints()][-1] == 4


def test_files_of_a_commit_count_only_with_its_reference(template: Path, tmp_path: Path) -> None:
    """Icechunk's own steps, which Python cannot stop: parts of the files before the branch names them."""
    done = shutil.copytree(template, tmp_path / "done")
    with StoreWriter.open(done) as writer:
        writer.commit(make_checkpoint(1, 4, runs=1), complete=False)
    added = sorted(
        file.relative_to(done)
        for file in done.rglob("*")
        if file.is_file() and not (template / file.relative_to(done)).exists()
    )
    draw = random.Random(0)
    for attempt in range(12):
        copy = shutil.copytree(template, tmp_path / str(attempt))
        for file in draw.sample(added, draw.randint(1, len(added))):
            content = (done / file).read_bytes()
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            (copy / file).write_bytes(content[: draw.choice([0, len(content) // 2, len(content)])])
        assert_resumes(StoreReader(copy).checkpoint(), make_checkpoint(1, 3, runs=1))
        write(copy)
        assert_resumes(StoreReader(copy).checkpoint(), make_checkpoint(1, 4, runs=1))
