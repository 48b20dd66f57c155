"""Who has children: what every choice promises, and whose turn it is under `fresh`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from islands.evolution.counters import Counters
from islands.search.choices import PARENTS, ParentsSettings
from islands.search.contract import Candidates, Parents
from islands.search.parents import counted, first_rows
from islands.testing import ParentsTests

IDS = st.lists(st.integers(0, 12), min_size=1, max_size=30)


def candidates(ids: list[int], children: dict[int, int]) -> Candidates:
    counts = [children.get(each, 0) for each in ids]
    return Candidates(torch.tensor(ids), torch.tensor(counts, dtype=torch.int32))


def chooser(name: str) -> Parents:
    return PARENTS.get(name)(name=name).build()


@pytest.mark.parametrize("name", PARENTS.built_in)
class TestOurs(ParentsTests):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def settings(self) -> ParentsSettings:
        return PARENTS.get(self.name)(name=self.name)

    def test_everybody_may_be_a_parent_and_a_partner(self, name: str) -> None:
        known = self.candidates()
        for rows in chooser(name).choose(known, 400, torch.Generator().manual_seed(2)):
            assert set(known.ids[rows].tolist()) == {1, 4, 7, 9}

    def test_other_streams_choose_otherwise(self, name: str) -> None:
        one, other = (
            chooser(name).choose(self.candidates(), 40, torch.Generator().manual_seed(seed))
            for seed in (5, 6)
        )
        assert not torch.equal(torch.stack(one), torch.stack(other))


def test_uniform_draws_who_holds_many_cells_as_often() -> None:
    rows = chooser("uniform").choose(candidates([1] * 9 + [2], {}), 2000, torch.Generator()).parents
    assert 0.85 < (rows < 9).float().mean() < 0.95


@given(ids=IDS, children=st.dictionaries(st.integers(0, 12), st.integers(0, 9)), n=st.integers(1, 40))
def test_fresh_takes_those_with_the_fewest_children_in_turns(
    ids: list[int], children: dict[int, int], n: int
) -> None:
    known = candidates(ids, children)
    rows = chooser("fresh").choose(known, n, torch.Generator().manual_seed(n)).parents
    turns = Counter(known.ids[rows].tolist())
    genomes = set(ids)
    assert {turns[each] for each in genomes} <= {n // len(genomes), -(-n // len(genomes))}
    more = [children.get(each, 0) for each in genomes if turns[each] > n // len(genomes)]
    fewer = [children.get(each, 0) for each in genomes if turns[each] == n // len(genomes)]
    assert not more or not fewer or max(more) <= min(fewer)


@given(ids=IDS, n=st.integers(1, 8), generations=st.integers(1, 12))
def test_fresh_gives_all_genomes_the_same_number_of_children(
    ids: list[int], n: int, generations: int
) -> None:
    known, stream = candidates(ids, {}), torch.Generator().manual_seed(7)
    for _ in range(generations):
        chosen = chooser("fresh").choose(known, n, stream)
        known = known._replace(children=counted(known, chosen.parents))
    assert known.children.max() - known.children.min() <= 1
    assert int(known.children[first_rows(known.ids)].sum()) == n * generations


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=20), data=st.data()
)
def test_children_are_counted_by_genome(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    """Against a dictionary: a clone that has come as a claim knows what the migrant has had."""
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=10))
    naive: dict[int, int] = {}
    for genome, children in rows:
        naive[genome] = max(naive.get(genome, 0), children)
    for row in chosen:
        naive[rows[row][0]] += 1
    ids, before = (torch.tensor(column) for column in zip(*rows, strict=True))
    found = counted(Candidates(ids, before.to(torch.int32)), torch.tensor(chosen, dtype=torch.int64))
    assert found.dtype == torch.int32
    assert found.tolist() == [naive[genome] for genome, _ in rows]
    counters = Counters.among(ids.numpy(), found.numpy())
    assert dict(zip(counters.ids.tolist(), counters.children.tolist(), strict=True)) == {
        genome: count for genome, count in naive.items() if count
    }
    assert counters.of(ids.numpy()).tolist() == found.tolist()
    assert (counters.of(np.array([-1, 99])) == 0).all()


@given(ids=IDS)
def test_the_first_row_of_each_genome(ids: list[int]) -> None:
    assert first_rows(torch.tensor(ids)).tolist() == [each not in ids[:row] for row, each in enumerate(ids)]
