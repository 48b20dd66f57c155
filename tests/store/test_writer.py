from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import icechunk
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from islands.errors import StoreError, StoreExistsError, StoreLockedError
from islands.evolution.checkpoint import Checkpoint, RunCheckpoint
from islands.store import schema
from islands.store.lock import read_owner
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.writer import StoreWriter
from tests.conftest import examples
from tests.store.comparing import assert_resumes, assert_same
from tests.store.samples import (
    FINGERPRINT,
    make_checkpoint,
    make_config,
    make_elites,
    make_mail,
    make_names,
    make_run,
    make_store,
)

ROOT = Path(__file__).parents[2]

# Values that a store may be tempted to treat as empty, or to lose the sign or payload of.
_ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45], np.float32)


@st.composite
def _sequences(draw: st.DrawFn) -> list[Checkpoint]:
    """Checkpoints of one run: each changes some rows, and genomes get wider or narrower."""
    k = draw(st.integers(2, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    run = make_run(generator, k, width=draw(st.integers(0, 4)), mail=draw(st.integers(0, 5)))
    checkpoints = [Checkpoint(0, (run,))]
    for epoch in range(1, draw(st.integers(2, 4))):
        changed = generator.random(k) < draw(st.sampled_from([0.0, 0.2, 1.0]))
        width = draw(st.integers(0, 12))
        source = make_elites(generator, k, k, width)
        source.fitness[:] = generator.choice(_ODD, k)
        elites = run.elites.put(np.flatnonzero(changed), source.take(changed))
        run = replace(
            make_run(generator, k, epochs=draw(st.integers(0, 2)), rows=draw(st.integers(0, 3))),
            elites=elites,
            changed=changed | (width > run.elites.genomes["weights"].shape[1]),
            mail=make_mail(generator, draw(st.integers(0, 5)), k, width),
        )
        checkpoints.append(Checkpoint(epoch, (run,)))
    return checkpoints


class TestCommitAndLoad:
    @settings(max_examples=examples(3))
    @given(_sequences())
    def test_load_is_bit_exact(self, checkpoints: list[Checkpoint]) -> None:
        """Whatever was committed before, the last checkpoint comes back to the bit."""
        k = len(checkpoints[0].runs[0].changed)
        with TemporaryDirectory() as folder:
            with make_store(Path(folder) / "run", runs=1, k=k) as writer:
                for checkpoint in checkpoints:
                    writer.commit(checkpoint, complete=False)
                    assert_resumes(writer.load(), checkpoint)
            reader = StoreReader(Path(folder) / "run")
            runs = [checkpoint.runs[0] for checkpoint in checkpoints]
            for name in ("history", "migrations"):
                rows = [getattr(run, name) for run in runs]
                stacked = {key: np.concatenate([part[key] for part in rows]) for key in rows[0]}
                assert_same(getattr(reader, name)(0), stacked)
            assert_same(reader.curves(0), np.concatenate([run.curves for run in runs]))

    @pytest.mark.slow
    def test_narrower_genomes(self, tmp_path: Path) -> None:
        """Genomes may become narrower again; nothing of the wide ones is left."""
        with make_store(tmp_path / "run") as writer:
            for epoch, width in enumerate((8, 20, 5)):
                checkpoint = make_checkpoint(1, epoch, width=width)
                writer.commit(checkpoint, complete=False)
                assert_resumes(writer.load(), checkpoint)

    def test_unchanged_rows_are_not_written(self, store: Path) -> None:
        """A commit without changes adds no chunk of elites or genomes."""
        repository = open_repository(store)
        before = repository.lookup_branch("main")
        with StoreWriter.open(store) as writer:
            checkpoint = writer.load()
            assert checkpoint is not None
            after = writer.commit(replace(checkpoint, epoch=4), complete=False)
        touched = repository.diff(from_snapshot_id=before, to_snapshot_id=after).updated_chunks
        assert not [path for path in touched if path.split("/")[3] in ("elites", "genomes")]

    def test_resumed_store_goes_on(self, store: Path) -> None:
        """What is committed after a resume follows what was there."""
        with StoreWriter.open(store) as writer:
            writer.commit(make_checkpoint(1, 5), complete=True)
        reader = StoreReader(store)
        assert (reader.epoch, reader.complete) == (5, True)
        assert [info.epoch for info in reader.checkpoints()] == [0, 3, 5]
        assert len(reader.curves(1)) == 3

    def test_before_first_checkpoint(self, tmp_path: Path) -> None:
        """A store killed early opens, says so, and can be resumed."""
        make_store(tmp_path / "run").close()
        with StoreWriter.open(tmp_path / "run") as writer:
            assert writer.load() is None
        reader = StoreReader(tmp_path / "run")
        assert reader.epoch is None
        assert reader.checkpoints() == []
        with pytest.raises(StoreError, match="no checkpoint yet"):
            reader.elites(0)

    def test_set_config_with_next_commit(self, store: Path) -> None:
        """A larger budget is stored together with the first checkpoint made under it."""
        with StoreWriter.open(store) as writer:
            writer.set_config(make_config(store, generations=400))
            assert StoreReader(store).config.evolve.generations == 200
            writer.commit(make_checkpoint(1, 5), complete=False)
        assert StoreReader(store).config.evolve.generations == 400


class TestCreate:
    def test_refuses_what_exists(self, store: Path, tmp_path: Path) -> None:
        """Neither a store nor anything else is overwritten."""
        with pytest.raises(StoreExistsError, match="islands resume"):
            make_store(store)
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreExistsError, match="is a file"):
            make_store(tmp_path / "file")

    def test_refuses_urls_of_other_kinds(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="BUCKET/PREFIX"):
            StoreWriter.create(
                "ftp://host/run", make_config(tmp_path), make_names(3), FINGERPRINT, channels=1, size=8
            )

    def test_arrays_are_described(self, store: Path) -> None:
        """Every array has dimension names and a description, and the dimensions of a group agree."""
        session = open_repository(store).readonly_session("main")
        for _, group in zarr.open_group(session.store, mode="r").members(max_depth=None):
            if not isinstance(group, zarr.Group):
                continue
            sizes: dict[str, int] = {}
            for _, array in group.arrays():
                names = array.metadata.dimension_names  # type: ignore[union-attr]
                assert names is not None
                assert array.attrs["description"]
                for name, size in zip(names, array.shape, strict=True):
                    assert sizes.setdefault(str(name), size) == size

    def test_operator_names(self) -> None:
        """The store's names of operators are those of the encodings."""
        from islands.encodings.contract import Operator

        assert tuple(operator.name.lower() for operator in Operator) == schema.OPERATORS


class TestLock:
    def test_second_writer_is_refused(self, store: Path) -> None:
        """Zarr #3682: one writer only, and the message names it."""
        code = (
            "import sys; from islands.store.writer import StoreWriter\n"
            f"w = StoreWriter.open({str(store)!r}); print('open', flush=True); sys.stdin.read()"
        )
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "open\n"
            with pytest.raises(StoreLockedError, match=rf"process {other.pid} on {os.uname().nodename}"):
                StoreWriter.open(store)
            assert StoreReader(store).epoch == 3
            other.kill()
        with StoreWriter.open(store):
            assert json.loads((store / "LOCK").read_text())["pid"] == os.getpid()
        assert read_owner(store) is None


_KILLED = """
import sys
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint
from tests.conftest import examples
with StoreWriter.open(sys.argv[1]) as writer:
    epoch = writer.load().epoch
    while True:
        epoch += 1
        checkpoint = make_checkpoint(7, epoch, width=4 + epoch % 5)
        print("start", epoch, flush=True)
        writer.commit(checkpoint, complete=False)
        print("done", epoch, flush=True)
"""


class TestKill:
    @pytest.mark.slow
    def test_store_holds_whole_commits(self, tmp_path: Path) -> None:
        """Ray #27790: kill -9 within a commit leaves a whole checkpoint, the last acknowledged or newer."""
        path = tmp_path / "run"
        with make_store(path) as writer:
            writer.commit(make_checkpoint(7, 0), complete=False)
        generator = np.random.default_rng(0)
        epochs = [0]
        for _ in range(10):
            acknowledged = _kill_during_commit(path, int(generator.integers(3)), generator.random() * 0.1)
            checkpoint = StoreReader(path).checkpoint()
            assert checkpoint is not None
            assert checkpoint.epoch >= max(acknowledged, epochs[-1])
            width = 8 if checkpoint.epoch == 0 else 4 + checkpoint.epoch % 5
            assert_resumes(checkpoint, make_checkpoint(7, checkpoint.epoch, width=width))
            assert len(StoreReader(path).curves(0)) == checkpoint.epoch + 1
            epochs.append(checkpoint.epoch)
        assert epochs[-1] > 0


def _kill_during_commit(path: Path, commits: int, delay: float) -> int:
    """Kill another process within a commit after `commits`, and return the last epoch it acknowledged."""
    command = [sys.executable, "-c", _KILLED, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=-1, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2 * commits + 1)]
        assert lines[-1].startswith("start")
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        done = [line.split() for line in [*lines, *process.stdout]]
    return max((int(epoch) for word, epoch in done if word == "done"), default=0)


def test_runs_are_independent(store: Path) -> None:
    """Each run has its own group, and comes back as its own."""
    expected = make_checkpoint(1, 3)
    runs: list[RunCheckpoint] = list(expected.runs)
    for number, run in enumerate(runs):
        assert_same(StoreReader(store).elites(number), run.elites)


def test_killed_commits_are_cleared(store: Path) -> None:
    """Chunks that no commit refers to are deleted when writing goes on."""
    session = open_repository(store).writable_session("main")
    zarr.open_group(session.store, mode="r+").create_array("orphan", data=np.arange(10_000.0))
    chunks = len(list((store / "chunks").iterdir()))
    assert isinstance(session, icechunk.Session)
    StoreWriter.open(store).close()
    assert len(list((store / "chunks").iterdir())) < chunks
