"""Scores of held-out networks: beside evolution, and never in its way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from islands.errors import StoreDamagedError, StoreError
from islands.store import schema
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.writer import StoreWriter
from tests.store.comparing import assert_resumes, assert_same
from tests.store.samples import FINGERPRINT, make_checkpoint, make_scores, make_store

NAMES = ["plain", "torchvision:mobilenet_v2@IMAGENET1K_V1", "../../etc", "file:/tmp/x y.py:f", "ü" * 300, "-"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back(store: Path, name: str) -> None:
    scores = make_scores(np.random.default_rng(1), name=name, full=True)
    with StoreWriter.open(store) as writer:
        writer.commit_scores([scores])
    found = {each.name: each for each in StoreReader(store).scores()}
    assert_same(found[name], scores)
    assert len(found) == 2


def test_scores_leave_evolution_as_it_is_and_are_a_commit_of_their_epoch(store: Path) -> None:
    expected = make_checkpoint(1, 3)
    scores = make_scores(np.random.default_rng(2))
    with StoreWriter.open(store) as writer:
        writer.commit_scores([scores])
        assert_resumes(writer.load(), replace(expected, scores=(scores,)))
    assert [info.epoch for info in StoreReader(store).checkpoints()] == [0, 3, 3]
    assert_same(StoreReader(store, at=3).scores(), (scores,))


def test_new_scores_drop_the_matrix_of_old_ones(store: Path) -> None:
    generator = np.random.default_rng(3)
    with StoreWriter.open(store) as writer:
        writer.commit_scores([make_scores(generator, full=True)])
        scores = make_scores(generator)
        writer.commit_scores([scores])
    assert_same(StoreReader(store).scores(), (scores,))


def test_damaged_scores_are_refused_but_do_not_stop_a_resume(store: Path) -> None:
    session = open_repository(store).writable_session("main")
    path = schema.scores_path(1, "a:network", FINGERPRINT)
    ranks = zarr.open_group(session.store, path=path, mode="r+")["target_rank"]
    assert isinstance(ranks, zarr.Array)
    ranks[0] = 99
    session.commit("changed behind the back of Islands")
    with pytest.raises(StoreDamagedError, match="is not what was written"):
        StoreReader(store).scores()
    assert_resumes(StoreReader(store).checkpoint(), replace(make_checkpoint(1, 3), scores=()))


def test_without_a_checkpoint_there_is_nothing_to_score(tmp_path: Path) -> None:
    with make_store(tmp_path / "run") as writer, pytest.raises(StoreError, match="nothing to score"):
        writer.commit_scores([make_scores(np.random.default_rng(0))])


def test_a_store_without_scores_has_an_empty_table(tmp_path: Path) -> None:
    with make_store(tmp_path / "run") as writer:
        writer.commit(replace(make_checkpoint(1, 0), scores=()), complete=False)
    assert query(tmp_path / "run", "select count(*), max(network) from scores").rows == [(0, None)]
