"""Whatever happens to the files of a store: an error in one line, or the right content."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from unittest import mock

import pytest
import zarr

from islands.cli.main import execute
from islands.errors import StoreDamagedError, StoreError
from islands.store.reader import StoreReader
from islands.store.repository import open_repository, reading
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes, assert_same
from tests.store.samples import make_checkpoint, make_store

pytestmark = pytest.mark.slow

EPOCHS = 2
CLASSES = 110

_T = TypeVar("_T")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    with make_store(path, runs=1, k=CLASSES) as writer:
        for epoch in range(EPOCHS):
            writer.commit(make_checkpoint(1, epoch, runs=1, k=CLASSES), complete=False)
    return path


def files_of(store: Path) -> list[Path]:
    return sorted(file for file in store.rglob("*") if file.is_file() and not file.name.startswith("LOCK"))


def damage(store: Path, dice: random.Random) -> None:
    """Spoil a few files, or lose a directory."""
    if dice.random() < 0.05:
        shutil.rmtree(dice.choice([folder for folder in store.rglob("*") if folder.is_dir()]))
        return
    # There are many chunks, and few files of the other kinds: choose the kind first.
    for _ in range(dice.choice([1, 1, 1, 3])):
        kind = dice.choice(sorted({file.relative_to(store).parts[0] for file in files_of(store)}))
        spoil(dice.choice(files_of(store / kind)), files_of(store), dice)


def spoil(file: Path, others: list[Path], dice: random.Random) -> None:
    content = bytearray(file.read_bytes())
    match dice.choice(["flip", "flip", "cut", "empty", "lose", "swap", "grow", "zero"]):
        case "flip" if content:
            for _ in range(dice.choice([1, 1, 8])):
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            file.write_bytes(content)
        case "cut":
            file.write_bytes(content[: dice.randrange(len(content) + 1)])
        case "empty":
            file.write_bytes(b"")
        case "lose":
            file.unlink()
        case "swap":
            file.write_bytes(dice.choice(others).read_bytes())
        case "grow":
            file.write_bytes(content + dice.randbytes(40))
        case _:
            start = dice.randrange(len(content) + 1)
            content[start : start + 64] = bytes(len(content[start : start + 64]))
            file.write_bytes(content)


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_damaged_stores_are_right_or_refused(
    whole: Path, tmp_path: Path, first: int, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = 0
    for seed in range(first, first + 25):
        store = tmp_path / str(seed)
        shutil.copytree(whole, store)
        damage(store, random.Random(seed))
        refused += not reads_right(store)
        commands = (["status", str(store), "--json"], ["query", str(store), "select * from elites"])
        code = execute(commands[seed % 2])
        error = capfd.readouterr().err
        assert (code, error) == (0, "") or (code == 2 and is_one_line(error)), (seed, code, error)
        if seed % 4 == 0:
            goes_on_or_refuses(store)
        shutil.rmtree(store)
    assert 0 < refused < 25


@pytest.mark.parametrize("lost", ["config", "versions", "stages", "fingerprint", "image"])
def test_a_store_that_lacks_what_it_says_of_itself_is_damaged(whole: Path, lost: str) -> None:
    """A flipped bit had changed a name."""
    reader = StoreReader(whole)
    kept = {name: value for name, value in reader.attributes.items() if name != lost}
    del reader.attributes
    with (
        mock.patch.object(type(reader._root.attrs), "asdict", return_value=kept),
        pytest.raises(StoreDamagedError, match=rf"what it says of itself cannot be read.*{lost}"),
    ):
        _ = reader.config


@pytest.mark.parametrize("base", [Exception, BaseException])
def test_a_panic_is_damage(base: type[BaseException]) -> None:
    """Icechunk's exceptions for panics are made in Rust, by name; those of sync calls are no `Exception`."""
    name = "RustPanic" if base is Exception else "PanicException"
    with pytest.raises(StoreDamagedError), reading(Path("store"), "a run"):
        raise type(name, (base,), {})("rust future panicked")
    with pytest.raises(KeyboardInterrupt), reading(Path("store"), "a run"):
        raise KeyboardInterrupt


def test_a_commit_that_adds_to_a_damaged_chunk_is_refused(whole: Path, tmp_path: Path) -> None:
    """Curves are not read before: a resume writes behind those that are there."""
    store = tmp_path / "run"
    shutil.copytree(whole, store)
    session = open_repository(store).writable_session("main")
    chunk = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(b"not compressed by anyone")
    asyncio.run(session.store.set("evolve/run-0/curves/c/0/0", chunk))
    session.commit("damage")
    with StoreWriter.open(store) as writer:
        assert writer.load() is not None
        with pytest.raises(StoreDamagedError, match="is damaged: what is added to cannot be read"):
            writer.commit(make_checkpoint(1, EPOCHS, runs=1, k=CLASSES), complete=False)


def is_one_line(error: str) -> bool:
    return error.startswith("error: ") and error.count("\n") == 1 and "Traceback" not in error


def reads_right(store: Path) -> bool:
    """Check what is read without errors; say whether the last checkpoint was read."""
    last = make_checkpoint(1, EPOCHS - 1, runs=1, k=CLASSES)
    elites, problem = attempt(lambda: StoreReader(store).elites(0))
    if not problem:
        assert_same(elites, last.runs[0].elites)
    checkpoint, problem = attempt(lambda: StoreReader(store).checkpoint())
    if checkpoint is not None:
        # Damaged scores are left out: they can be made again.
        kept = [scores.name for scores in checkpoint.scores]
        scores = tuple(each for each in last.scores if each.name in kept)
        assert_resumes(checkpoint, replace(last, scores=scores))
    return not problem


def goes_on_or_refuses(store: Path) -> None:
    """What a writer that accepts the store commits can be read."""
    expected = make_checkpoint(1, EPOCHS, runs=1, k=CLASSES)

    def go_on() -> None:
        with StoreWriter.open(store) as writer:
            assert writer.load() is not None
            writer.commit(expected, complete=False)

    if not attempt(go_on)[1]:
        assert_resumes(StoreReader(store).checkpoint(), expected)


def attempt(read: Callable[[], _T]) -> tuple[_T | None, str]:
    """Return what was read, or what was said instead, which must be one line."""
    try:
        return read(), ""
    except StoreError as error:
        problem = str(error)
    assert len(problem.splitlines()) == 1
    return None, problem


def test_json_is_json_or_nothing(whole: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An error leaves no half of an answer on stdout."""
    for seed in range(200, 220):
        store = tmp_path / str(seed)
        shutil.copytree(whole, store)
        damage(store, random.Random(seed))
        code = execute(["status", str(store), "--json"])
        answer = capfd.readouterr().out
        assert (code == 0 and json.loads(answer)) or answer == ""
