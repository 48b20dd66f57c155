"""Wide genomes: a commit writes what has changed, and who looks reads and checks what is shown, no more."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from islands.cli.main import execute as islands
from islands.errors import StoreDamagedError
from islands.evolution.checkpoint import Checkpoint
from islands.evolution.elites import Elites
from islands.reports.sheets import contact_sheet
from islands.store.images import Studio, render_elite
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.status import read_status
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes, assert_same
from tests.store.samples import make_checkpoint, make_store

K, SIZE = 20, 128
ROW = 3 * SIZE**2


def wide(epoch: int, changed: list[int], before: Checkpoint | None = None) -> Checkpoint:
    """A checkpoint of images that are genomes, of which some have changed since the one before."""
    generator = np.random.default_rng(epoch)
    (run,) = make_checkpoint(1, epoch, runs=1, k=K).runs
    genes = generator.integers(0, 256, (K, ROW), dtype=np.uint8)
    elites = replace(run.elites, genomes={"genes": genes})
    rows = np.isin(np.arange(K), changed)
    if before is not None:
        elites = before.runs[0].elites.put(np.flatnonzero(rows), elites.take(rows))
    mail = replace(run.mail.take(np.zeros(6, np.bool_)), elites=elites.take(np.empty(0, np.intp)))
    return Checkpoint(epoch, (replace(run, elites=elites, changed=rows, mail=mail, ancestors=None),))


def size_of(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "run"
    with make_store(path, runs=1, k=K, encoding="direct", size=SIZE) as writer:
        writer.commit(wide(0, list(range(K))), complete=False)
    return path


@pytest.fixture
def wide_store(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run"))


def lose(store: Path, *keys: str) -> None:
    """Let Zarr read chunks as never written, as a flipped bit in Icechunk's index does."""
    session = open_repository(store).writable_session("main")
    for key in keys:
        asyncio.run(session.store.delete(key))
    session.commit("lost")


def test_a_commit_writes_what_has_changed(wide_store: Path) -> None:
    before = size_of(wide_store)
    with StoreWriter.open(wide_store) as writer:
        checkpoint = wide(1, [3, 7, 11], wide(0, list(range(K))))
        writer.commit(checkpoint, complete=False)
        assert size_of(wide_store) - before < 1.5 * 3 * ROW
        assert_resumes(writer.load(), checkpoint)


def test_what_is_not_asked_for_is_not_read(
    wide_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With all genomes lost, what does not show them answers, and the rest says that they are damaged."""
    expected = wide(0, list(range(K))).runs[0].elites
    for chunk in (wide_store / "chunks").iterdir():
        if chunk.stat().st_size > ROW // 2:
            chunk.unlink()
    sql = "select confidence from elites order by class"
    assert islands(["query", str(wide_store), sql, "--format", "csv"]) == 0
    answer = capsys.readouterr().out.split()[1:]
    np.testing.assert_allclose(np.array(answer, np.float32), expected.confidence, rtol=1e-6)
    assert read_status(wide_store).median_confidence == np.median(expected.confidence)
    for command in (["show", "--class", "3"], ["show", "--sheet"], ["report"]):
        arguments = [command[0], str(wide_store), *command[1:], "--out", str(tmp_path / "x")]
        assert islands(arguments) == 2
        assert "is damaged" in capsys.readouterr().err
    assert islands(["export", str(wide_store), str(tmp_path / "images")]) == 2


def test_a_damaged_row_spoils_no_other(wide_store: Path) -> None:
    lose(wide_store, "evolve/run-0/genomes/genes/c/3/0")
    expected = wide(0, list(range(K))).runs[0].elites.genomes["genes"]
    reader = StoreReader(wide_store)
    assert_same(reader.genome(0, 4)["genes"], expected[4:5])
    render_elite(reader, 4)
    for read in (
        lambda: render_elite(reader, 3),
        lambda: contact_sheet(reader, [2, 3]),
        lambda: reader.elites(0),
        reader.checkpoint,
    ):
        with pytest.raises(StoreDamagedError, match="not what was written"):
            read()


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
def test_a_few_at_a_time_are_the_same(store: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    """Whether a table of genomes is kept in memory or read row by row."""
    monkeypatch.setattr("islands.store.images._IN_MEMORY", in_memory)
    (_, run) = make_checkpoint(1, 3).runs
    assert run.ancestors is not None
    studio = Studio(StoreReader(store), 1)
    for table in (run.ancestors, run.elites):
        for row in (0, 9, 4, 5):
            genome = {name: array[row : row + 1] for name, array in table.genomes.items()}
            assert_same(studio.genome(int(table.ids[row])), genome)
    assert -7 not in studio


READERS: dict[str, Callable[[StoreReader], object]] = {
    "elites/confidence/c/0": lambda reader: reader.confidence(1),
    "elites/id/c/0": lambda reader: reader.genome(1, 2),
    "elites/probabilities/c/0/0": lambda reader: reader.probabilities(1, slice(2, 3)),
    "genomes/weights/c/0/0": lambda reader: reader.genome(1, 2),
    "digests/genomes/c/0/0": lambda reader: reader.genome(1, 2),
    "islands/genomes/weights/c/0/0": lambda reader: reader.resumable(1),
    "ancestors/genomes/weights/c/0/0": lambda reader: reader.ancestors(1),
    "ancestors/id/c/0": lambda reader: reader.ancestors(1),
    "history/confidence/c/0": lambda reader: reader.history(1),
    "migrations/accepted/c/0": lambda reader: reader.migrations(1),
    "curves/c/0/0": lambda reader: reader.curves(1, 1),
}


@pytest.mark.slow
def test_whatever_is_lost_is_missed(store: Path) -> None:
    """What was lost of a run is damage to who reads it; what was not is read."""
    for read in READERS.values():
        read(StoreReader(store))
    for key, read in READERS.items():
        broken = Path(shutil.copytree(store, store.with_name("broken")))
        lose(broken, f"evolve/run-1/{key}")
        with pytest.raises(StoreDamagedError, match="not what was written"):
            read(StoreReader(broken))
        assert_same(StoreReader(broken).elites(0), make_checkpoint(1, 3).runs[0].elites)
        shutil.rmtree(broken)


def test_what_is_added_to_lost_rows_is_refused(store: Path) -> None:
    lose(store, "evolve/run-1/history/confidence/c/0")
    with StoreWriter.open(store) as writer, pytest.raises(StoreDamagedError, match="not what was written"):
        writer.commit(make_checkpoint(1, 4), complete=False)


def as_of_version_1(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint as version 1 wrote it: networks had fewer settings, and nobody counted children."""
    later = ("outputs", "not_finite", "engine", "description", "queries_per_second", "budget")
    scores = tuple(
        replace(each, settings={key: value for key, value in each.settings.items() if key not in later})
        for each in checkpoint.scores
    )
    runs = tuple(replace(run, mail=replace(run.mail, counters=())) for run in checkpoint.runs)
    return replace(checkpoint, runs=runs, scores=scores)


class TestVersion1:
    """Stores that were written when a run had one digest of everything, and 100 genomes a chunk."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        shutil.unpack_archive(Path(__file__).with_name("version-1.zip"), tmp_path / "run")
        return tmp_path / "run"

    def test_it_is_read(self, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
        expected = as_of_version_1(make_checkpoint(1, 3, runs=1, k=5))
        reader = StoreReader(old)
        assert_resumes(reader.checkpoint(), expected)
        assert_same(reader.history(0), expected.runs[0].history)
        assert_same(reader.genome(0, 2)["weights"], expected.runs[0].elites.genomes["weights"][2:3])
        assert islands(["query", str(old), "select count(*) from elites", "--format", "csv"]) == 0
        assert capsys.readouterr().out.split()[1:] == ["5"]
        history = expected.runs[0].history
        filled = np.unique(history["class"][history["epoch"] == 0])
        assert query(old, "select coverage from statistics").rows == [(len(filled) / 5,)]

    def test_a_commit_makes_it_new(self, old: Path) -> None:
        first, second = (make_checkpoint(1, epoch, runs=1, k=5) for epoch in (3, 4))
        rows = np.array([0, 1, 0, 0, 1], np.bool_)
        elites: Elites = first.runs[0].elites.put(np.flatnonzero(rows), second.runs[0].elites.take(rows))
        second = replace(second, runs=(replace(second.runs[0], elites=elites, changed=rows),))
        with StoreWriter.open(old) as writer:
            assert writer.load() is not None
            writer.commit(second, complete=False)
            assert_resumes(writer.load(), second)
        reader = StoreReader(old)
        assert reader.attributes["schema_version"] == 2
        assert len(reader.curves(0)) == 2
        assert len(reader.history(0)["id"]) == 40
        assert_resumes(StoreReader(old, 3).checkpoint(), as_of_version_1(first))

    @pytest.mark.parametrize("key", ["elites/confidence/c/0", "genomes/weights/c/0/0"])
    def test_damage_is_found(self, old: Path, key: str) -> None:
        lose(old, f"evolve/run-0/{key.replace('confidence', 'fitness')}")
        with pytest.raises(StoreDamagedError, match="not what was written"):
            StoreReader(old).confidence(0)
