"""Coverage and QD score: against loops, and against pyribs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from islands.evolution.checkpoint import Checkpoint
from islands.evolution.records import Rows
from islands.store.columns import table
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.statistics import Statistics, measure, over_time
from islands.store.status import read_status
from tests.conftest import examples
from tests.store.samples import make_checkpoint, make_store


class Course(NamedTuple):
    """What happened to the cells of a run: at each epoch the confidence of each, None while it is empty."""

    cells: list[list[float | None]]

    @property
    def curves(self) -> npt.NDArray[np.float32]:
        """(epochs, K), as a store has them: 0 in empty cells."""
        return np.array([[cell or 0 for cell in row] for row in self.cells], np.float32)

    def history(self, rows: Rows) -> Rows:
        """As many of `rows` as cells were taken, in the order of epochs, of these classes and epochs."""
        taken = [
            (epoch, class_)
            for epoch, row in enumerate(self.cells)
            for class_, cell in enumerate(row)
            if cell is not None and (epoch == 0 or self.cells[epoch - 1][class_] != cell)
        ]
        found = {name: np.resize(column, (len(taken), *column.shape[1:])) for name, column in rows.items()}
        found["epoch"] = np.array([epoch for epoch, _ in taken], np.int32)
        found["class"] = np.array([class_ for _, class_ in taken], np.int32)
        return found


@st.composite
def courses(draw: st.DrawFn, k: int | None = None) -> Course:
    """Cells that are filled at some epoch or never, and get better, or have a confidence of 0."""
    epochs = draw(st.integers(1, 4))
    size = draw(st.integers(1, 6)) if k is None else k
    shares = st.sampled_from((0.0, 1.0)) | st.floats(0, 1, width=32)
    columns: list[list[float | None]] = []
    for _ in range(size):
        since = draw(st.integers(0, epochs))
        values = sorted(draw(st.lists(shares, min_size=epochs - since, max_size=epochs - since)))
        columns.append([None] * since + list(values))
    return Course([[column[epoch] for column in columns] for epoch in range(epochs)])


def naive(cells: list[float | None]) -> tuple[float, float, float, float, float]:
    """What the field's words mean, by loops."""
    total, count, best = 0.0, 0, math.nan
    for cell in cells:
        if cell is not None:
            total += cell
            count += 1
            best = cell if math.isnan(best) else max(best, cell)
    mean = total / count if count else math.nan
    return count / len(cells), total, total / len(cells), best, mean


def rows_of(found: Statistics) -> npt.NDArray[np.float64]:
    """(epochs, 5)."""
    return np.stack(found, axis=-1)


@given(courses())
def test_they_are_those_of_loops(course: Course) -> None:
    filled = np.array([[cell is not None for cell in row] for row in course.cells])
    found = measure(course.curves, filled)
    assert all(column.dtype == np.float64 for column in found)
    np.testing.assert_allclose(rows_of(found), [naive(row) for row in course.cells], rtol=1e-12)


@given(courses())
def test_they_are_those_of_pyribs(course: Course) -> None:
    archives = pytest.importorskip("ribs.archives", reason="ribs is not installed: pip install 'ribs>=0.12'")
    last = course.cells[-1]
    k = len(last)
    archive = archives.GridArchive(solution_dim=1, dims=[k], ranges=[(0, k)])
    for class_, cell in enumerate(last):
        if cell is not None:
            archive.add_single([0.0], cell, [class_ + 0.5])
    theirs = archive.stats
    found = measure(course.curves[-1], np.array([cell is not None for cell in last]))
    expected = (theirs.coverage, theirs.qd_score, theirs.norm_qd_score, theirs.obj_max, theirs.obj_mean)
    # pyribs says None where there are no elites.
    told = np.array([math.nan if each is None else float(each) for each in expected])
    np.testing.assert_allclose(np.array(found), told, rtol=1e-6)


@settings(max_examples=examples(5))
@given(st.data())
def test_a_store_tells_empty_cells_from_those_of_confidence_0(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also where the epochs come in several commits."""
    both = [data.draw(courses(k=3)) for _ in range(2)]
    epochs = min(len(course.cells) for course in both)
    path = tmp_path_factory.mktemp("course") / "run"
    with make_store(path, k=3) as writer:
        for epoch in range(epochs):
            made = make_checkpoint(1, epoch, k=3)
            runs = []
            for run, course in zip(made.runs, both, strict=True):
                rows = course.history(run.history)
                now = {name: column[rows["epoch"] == epoch] for name, column in rows.items()}
                runs.append(replace(run, history=now, curves=course.curves[epoch : epoch + 1]))
            writer.commit(Checkpoint(epoch, tuple(runs), made.scores), complete=False)
    reader = StoreReader(path)
    for number, course in enumerate(both):
        expected = [naive(row) for row in course.cells[:epochs]]
        np.testing.assert_allclose(rows_of(over_time(reader, number)), expected, rtol=1e-12)
    columns = table(reader, "statistics")
    assert columns["run"].tolist() == [0] * epochs + [1] * epochs
    assert columns["epoch"].tolist() == [*range(epochs)] * 2
    budget = reader.config.evolution.budget
    assert (
        columns["evaluations"].tolist()
        == [budget.initial + 10 * e * budget.children for e in range(epochs)] * 2
    )


def test_a_query_answers_and_earlier_checkpoints_have_less(store: Path) -> None:
    sql = (
        "select run, epoch, coverage, qd_score, normalized_qd_score, best, mean from statistics order by all"
    )
    rows = query(store, sql).rows
    reader = StoreReader(store)
    expected = [(run, at, *row) for run in range(2) for at, row in enumerate(rows_of(over_time(reader, run)))]
    np.testing.assert_array_equal(rows, expected)
    assert [row[:2] for row in query(store, sql, at=0).rows] == [(0, 0), (1, 0)]


def test_a_run_has_those_of_its_archive(store: Path) -> None:
    reader = StoreReader(store)
    sql = "select coverage, qd_score, normalized_qd_score, best, mean from runs order by run"
    expected = [naive(reader.confidence(run).tolist()) for run in range(2)]
    np.testing.assert_allclose(np.array(query(store, sql).rows), expected, rtol=1e-12)


def test_a_status_sums_over_runs(store: Path) -> None:
    found = read_status(store)
    elites = [StoreReader(store).elites(run) for run in range(2)]
    assert found.coverage == 1
    assert found.qd_score == pytest.approx(sum(float(each.confidence.sum()) for each in elites))
