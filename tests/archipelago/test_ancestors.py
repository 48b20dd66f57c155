"""Ancestors: every parent that still matters can be drawn as it was scored, and no other is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from torch import Tensor

from islands.archipelago.host import IslandHost
from islands.classifiers.contract import Classifier, Prediction
from islands.evolution.checkpoint import Checkpoint, RunCheckpoint
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import Evolution, in_process, parts, small_config, stored_config
from tests.store.comparing import assert_same

pytestmark = pytest.mark.slow

MANY = {"budget_per": "island", "initial": 10, "children": 20, "generations": 40, "generations_per_epoch": 4}


class Witness:
    """A classifier that notes the scores it gave to each image."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.scores: dict[bytes, Tensor] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._classifier, name)

    def predict(self, images: Tensor) -> Prediction:
        prediction = self._classifier.predict(images)
        for image, scores in zip(images, prediction.probabilities, strict=True):
            self.scores[image.numpy().tobytes()] = scores
        return prediction


def witnessed(encoding: str, **sections: Any) -> tuple[Evolution, Witness]:
    config = small_config(encoding={"name": encoding}, evolve=MANY, **sections)
    coder, classifier = parts(config)
    witness = Witness(classifier)
    return in_process(config, host=IslandHost(config.evolution, coder, witness)), witness  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["cppn", "direct"])
def evolved(request: pytest.FixtureRequest) -> tuple[str, Evolution, Witness]:
    # A commit whenever one is possible: what is kept is cut down many times.
    return request.param, *witnessed(request.param, checkpoint={"every_s": 1e-9})


def history(evolution: Evolution, run: int) -> dict[str, Any]:
    rows = [commit.runs[run].history for commit in evolution.commits]
    return {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}


def naive_closure(run: RunCheckpoint, parents_of: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    stack = [int(i) for table in (run.elites, run.mail.elites) for i in table.parents.ravel()]
    while stack:
        genome = stack.pop()
        if genome >= 0 and genome not in found:
            found.add(genome)
            stack += parents_of[genome]
    return found


def test_exactly_those_with_living_descendants_are_kept(evolved: tuple[str, Evolution, Witness]) -> None:
    _, evolution, _ = evolved
    assert len(evolution.commits) > 3
    for number, run in enumerate(evolution.last.runs):
        rows = history(evolution, number)
        parents_of = dict(zip(rows["id"].tolist(), rows["parents"].tolist(), strict=True))
        assert run.ancestors is not None
        expected = naive_closure(run, parents_of) - set(run.elites.ids.tolist())
        assert run.ancestors.ids.tolist() == sorted(expected)
        assert len(set(rows["id"].tolist())) > len(expected) > 20  # some were dropped
        assert run.ancestors.parents.tolist() == [parents_of[i] for i in run.ancestors.ids.tolist()]


def test_ancestors_are_drawn_as_they_were_scored(evolved: tuple[str, Evolution, Witness]) -> None:
    name, evolution, witness = evolved
    coder, _ = parts(small_config(encoding={"name": name}))
    for number, run in enumerate(evolution.last.runs):
        assert run.ancestors is not None
        images = coder.render(coder.from_arrays(run.ancestors.genomes, torch.device("cpu"))).numpy()
        drawn = {i: image.tobytes() for i, image in zip(run.ancestors.ids.tolist(), images, strict=True)}
        rows = history(evolution, number)
        for genome, class_, confidence in zip(rows["id"], rows["class"], rows["confidence"], strict=True):
            if int(genome) in drawn:
                assert witness.scores[drawn[int(genome)]][class_] == confidence


def test_what_is_kept_does_not_depend_on_when_it_is_cut(evolved: tuple[str, Evolution, Witness]) -> None:
    name, evolution, _ = evolved
    once, _ = witnessed(name)
    assert len(once.commits) == 2
    for got, expected in zip(once.last.runs, evolution.last.runs, strict=True):
        assert_same(got.ancestors, expected.ancestors)


def test_a_store_gives_back_what_every_commit_kept(
    evolved: tuple[str, Evolution, Witness], tmp_path: Path
) -> None:
    """Appended, widened, thinned out: the reader sees the table of the commit, and few rows are dead."""
    name, evolution, _ = evolved
    config = stored_config(tmp_path / "run", encoding={"name": name}, evolve=MANY)
    with StoreWriter.create(
        tmp_path / "run", config, [str(i) for i in range(10)], "f" * 64, channels=1, size=28
    ) as writer:
        for commit in evolution.commits:
            writer.commit(commit, complete=False)
            reader = StoreReader(tmp_path / "run")
            for number, run in enumerate(commit.runs):
                assert_same(reader.ancestors(number), run.ancestors)
                assert run.ancestors is not None
                ids = zarr.open_group(reader.session.store, mode="r")[f"evolve/run-{number}/ancestors/id"]
                assert isinstance(ids, zarr.Array)
                assert ids.shape[0] <= 2 * len(run.ancestors)
        restored = writer.load()
    assert restored is not None
    for got, expected in zip(restored.runs, evolution.last.runs, strict=True):
        assert_same(got.ancestors, expected.ancestors)


def test_ids_alone_can_be_kept(tmp_path: Path) -> None:
    only_ids = in_process(small_config(checkpoint={"ancestors": "ids"}))
    assert [run.ancestors for run in only_ids.last.runs] == [None, None]
    config = stored_config(tmp_path / "run")
    with StoreWriter.create(
        tmp_path / "run", config, [str(i) for i in range(10)], "f" * 64, channels=1, size=28
    ) as writer:
        writer.commit(Checkpoint(only_ids.last.epoch, only_ids.last.runs), complete=True)
    assert StoreReader(tmp_path / "run").ancestors(0) is None
