"""The archive against a dictionary that does the obvious thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from islands.encodings.direct import DirectEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.settings import DirectSettings
from islands.evolution.archive import Archive, Batch, winners
from islands.evolution.cells import PAPER
from tests.conftest import examples

CLASSES = 5
CPU = torch.device("cpu")


class ArchiveMachine(RuleBasedStateMachine):
    """A slice of the classes; few scores, so that ties are common.

    QDax: at a tie, genome and scores of different children may end in one cell. pyribs #445: the sum of
    objectives fell after an add.
    """

    @initialize(first=st.integers(0, CLASSES - 1), data=st.data())
    def begin(self, first: int, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, CLASSES - first))
        self.encoding = DirectEncoding(DirectSettings(), channels=1, size=2)
        self.classes = range(first, first + count)
        self.archive = Archive(self.classes, CLASSES, CPU)
        self.naive: dict[int, dict[str, Any]] = {}
        self.next_id = 0
        self.lowest_sum = -np.inf

    @rule(
        scores=st.lists(
            st.lists(st.integers(0, 3), min_size=CLASSES, max_size=CLASSES), min_size=1, max_size=6
        )
    )
    def insert(self, scores: list[list[int]]) -> None:
        batch = self._batch(scores)
        taken = self.archive.insert(batch, winners(batch, PAPER))
        expected = []
        for cell in range(len(self.classes)):
            class_ = cell + self.classes.start
            row = max(range(len(scores)), key=lambda row: scores[row][class_])  # the first one, at a tie
            held = self.naive.get(class_)
            if held is None or scores[row][class_] / 4 > held["fitness"]:
                self.naive[class_] = self._row(batch, row, scores[row][class_] / 4)
                expected.append(cell)
        assert taken.nonzero().squeeze(1).tolist() == expected

    @rule()
    def store_and_load(self) -> None:
        if len(self.naive) < len(self.classes):
            return  # nothing is stored before generation 0, which fills all cells
        table = self.archive.elites(torch.arange(len(self.classes)), self.encoding)
        fresh = Archive(self.classes, CLASSES, CPU)
        fresh.load(table, self.encoding)
        self.archive = fresh

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        if not hasattr(self, "archive"):
            return
        for cell in range(len(self.classes)):
            held = self.naive.get(cell + self.classes.start)
            if held is None:
                assert self.archive.fitness[cell] == -torch.inf
                assert self.archive.columns["ids"][cell] == -1
                continue
            assert self.archive.fitness[cell] == held["fitness"]
            assert self.archive.probabilities[cell].tolist() == held["probabilities"]
            assert {name: column[cell].tolist() for name, column in self.archive.columns.items()} == held[
                "columns"
            ]
            genome = {name: field[cell].tolist() for name, field in self.archive.genomes.fields.items()}
            assert genome == held["genome"]

    @invariant()
    def the_sum_of_scores_never_falls(self) -> None:
        if not hasattr(self, "archive"):
            return
        total = self.archive.fitness.clamp(min=0).sum().item()
        assert total >= self.lowest_sum
        self.lowest_sum = total

    def _batch(self, scores: list[list[int]]) -> Batch:
        n = len(scores)
        ids = torch.arange(self.next_id, self.next_id + n)
        self.next_id += n
        stream = torch.Generator().manual_seed(self.next_id)
        genomes: Genomes = self.encoding.random(n, stream)
        fitness = torch.tensor(scores) / 4
        small = {
            name: (ids % 7).to(dtype) for name, dtype in (("islands", torch.int32), ("epochs", torch.int32))
        }
        return Batch(
            genomes=genomes,
            fitness=fitness,
            probabilities=fitness / 2,
            columns={
                "ids": ids,
                "parents": torch.stack([ids - 1, ids - 2], 1),
                "operators": (ids % 3).to(torch.uint8),
                **small,
                "generations": (ids + 5).to(torch.int32),
            },
        )

    def _row(self, batch: Batch, row: int, fitness: float) -> dict[str, Any]:
        return {
            "fitness": fitness,
            "probabilities": batch.probabilities[row].tolist(),
            "columns": {name: column[row].tolist() for name, column in batch.columns.items()},
            "genome": {name: field[row].tolist() for name, field in batch.genomes.fields.items()},
        }


TestArchive = ArchiveMachine.TestCase
TestArchive.settings = settings(max_examples=examples(25), stateful_step_count=20)
