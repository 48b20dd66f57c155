"""The class map against a naive model of the released code's loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from islands.encodings.genomes import Genomes
from islands.evolution.archive import COLUMN_TYPES, Archive, Batch, winners
from islands.evolution.cells import PAPER, CellLayout
from tests.accelerator import pretend

CPU = torch.device("cpu")
# Few distinct values, so that ties are common.
LEVELS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def fitness_matrices(draw: st.DrawFn) -> list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    class_count = draw(st.integers(1, 6))
    return [
        np.array(
            draw(
                st.lists(st.lists(LEVELS, min_size=class_count, max_size=class_count), min_size=1, max_size=5)
            ),
            np.float32,
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


def make_batch(
    fitness: np.ndarray[tuple[int, int], np.dtype[np.float32]], first_id: int, bins: int = 1
) -> Batch:
    n = len(fitness)
    ids = torch.arange(first_id, first_id + n)
    columns = {name: ids.to(dtype) for name, dtype in COLUMN_TYPES.items() if name != "parents"}
    columns["parents"] = torch.stack([ids, -ids], 1)
    return Batch(
        genomes=Genomes({"genes": ids[:, None].repeat(1, 3).to(torch.int32)}),
        fitness=torch.tensor(fitness),
        probabilities=torch.tensor(fitness) + ids[:, None],
        columns=columns,
        bins=None if bins == 1 else ids * 7 % 5 % bins,
    )


LAYOUTS = st.builds(CellLayout, bins=st.integers(1, 3), places=st.integers(1, 3))


@given(fitness_matrices(), LAYOUTS)
def test_a_bin_holds_the_best_of_different_fitness(
    matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]], layout: CellLayout
) -> None:
    """One after the other, each child in its own bin; of equals, who came first."""
    class_count = matrices[0].shape[1]
    archive = Archive(range(class_count), class_count, CPU, layout)
    seen: list[dict[float, int]] = [{} for _ in range(class_count * layout.bins)]
    first_id = 0
    for fitness in matrices:
        batch = make_batch(fitness, first_id, layout.bins)
        before = archive.columns["ids"].clone()
        taken = archive.insert(batch, winners(batch, layout))
        assert torch.equal(taken, archive.columns["ids"] != before)
        for row, scores in enumerate(fitness):
            bin_ = 0 if batch.bins is None else int(batch.bins[row])
            for class_, score in enumerate(scores):
                seen[class_ * layout.bins + bin_].setdefault(float(score), first_id + row)
        first_id += len(fitness)
        held = torch.stack([archive.fitness, archive.columns["ids"]], 1).view(-1, layout.places, 2).tolist()
        for known, places in zip(seen, held, strict=True):
            best = sorted(([score, id_] for score, id_ in known.items()), reverse=True)[: layout.places]
            empty = [[-np.inf, -1.0]] * (layout.places - len(best))
            assert sorted(places) == sorted(best + empty)
    own = archive.columns["ids"]
    assert torch.equal(archive.genomes["genes"][:, 0].to(torch.int64)[own >= 0], own[own >= 0])
    lowest = archive.fitness.view(-1, layout.places).amin(1)
    assert torch.equal(archive.to_beat, lowest)


@given(fitness_matrices())
def test_insertion_equals_the_sequential_loop_over_children_and_cells(
    matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]],
) -> None:
    """Every child against every cell, strictly better, one child may take many cells."""
    class_count = matrices[0].shape[1]
    archive = Archive(range(class_count), class_count, CPU)
    naive: dict[int, tuple[float, int]] = {}
    first_id = 0
    for fitness in matrices:
        batch = make_batch(fitness, first_id)
        before = dict(naive)
        taken = archive.insert(batch, winners(batch, PAPER))
        for row, scores in enumerate(fitness):
            for cell, score in enumerate(scores):
                if cell not in naive or score > naive[cell][0]:
                    naive[cell] = (float(score), first_id + row)
        assert set(taken.nonzero().squeeze(1).tolist()) == {
            cell for cell in naive if naive[cell] != before.get(cell)
        }
        first_id += len(fitness)
    assert archive.columns["ids"].tolist() == [naive[cell][1] for cell in range(class_count)]
    assert archive.fitness.tolist() == [naive[cell][0] for cell in range(class_count)]


@given(fitness_matrices())
def test_all_columns_of_a_cell_come_from_the_same_child(
    matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]],
) -> None:
    """QDax: equal maxima in a batch may scatter genotype and descriptor of different parents into a cell."""
    class_count = matrices[0].shape[1]
    archive = Archive(range(class_count), class_count, CPU)
    first_id = 0
    for fitness in matrices:
        batch = make_batch(fitness, first_id)
        archive.insert(batch, winners(batch, PAPER))
        first_id += len(fitness)
    ids = archive.columns["ids"]
    assert torch.equal(archive.columns["parents"], torch.stack([ids, -ids], 1))
    assert torch.equal(archive.genomes["genes"][:, 0].to(torch.int64), ids)
    assert torch.equal(archive.columns["generations"].to(torch.int64), ids)
    own = torch.arange(class_count)
    assert torch.equal(archive.probabilities[own, own], archive.fitness + ids)


@given(fitness_matrices())
def test_fitness_of_a_cell_never_falls(
    matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]],
) -> None:
    """The bug pyribs #445: the objective sum fell after an add."""
    class_count = matrices[0].shape[1]
    archive = Archive(range(class_count), class_count, CPU)
    for fitness in matrices:
        before = archive.fitness.clone()
        batch = make_batch(fitness, 0)
        archive.insert(batch, winners(batch, PAPER))
        assert bool((archive.fitness >= before).all())


@given(fitness_matrices(), LAYOUTS)
def test_where_no_mask_is_read_the_same_cells_are_taken(
    matrices: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]], layout: CellLayout
) -> None:
    class_count = matrices[0].shape[1]
    archives = [Archive(range(class_count), class_count, CPU, layout) for _ in range(2)]
    first_id = 0
    for fitness in matrices:
        batch = make_batch(fitness, first_id, layout.bins)
        arguments = (batch, winners(batch, layout))
        taken = archives[0].insert(*arguments)
        with pytest.MonkeyPatch.context() as patch:
            pretend(patch)
            assert torch.equal(archives[1].insert(*arguments), taken)
        first_id += len(fitness)
    first, second = archives
    assert torch.equal(first.fitness, second.fitness)
    assert torch.equal(first.probabilities, second.probabilities)
    assert torch.equal(first.genomes["genes"], second.genomes["genes"])
    for name, column in first.columns.items():
        assert torch.equal(column, second.columns[name])


def test_an_archive_of_a_slice_sees_its_own_columns_only() -> None:
    archive = Archive(range(1, 3), class_count=4, device=CPU)
    batch = make_batch(np.array([[0.9, 0.1, 0.2, 0.9], [0.0, 0.3, 0.1, 0.0]], np.float32), first_id=10)
    taken = archive.insert(batch, winners(batch, PAPER))
    assert taken.tolist() == [True, True]
    assert archive.columns["ids"].tolist() == [11, 10]
