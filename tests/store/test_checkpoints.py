"""Which checkpoint is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from islands.errors import InputError
from islands.store.reader import StoreReader
from tests.store.comparing import assert_resumes
from tests.store.samples import make_checkpoint, make_store


@pytest.mark.parametrize("by", ["epoch", "text", "id"])
def test_at_an_earlier_checkpoint(store: Path, by: str) -> None:
    """Time travel: by epoch, as number or text, and by snapshot id."""
    first = StoreReader(store).checkpoints()[0]
    choices: dict[str, str | int] = {"epoch": 0, "text": "0", "id": first.id}
    at = choices[by]
    assert_resumes(StoreReader(store, at).checkpoint(), make_checkpoint(1, 0))


def test_checkpoints(store: Path) -> None:
    infos = StoreReader(store).checkpoints()
    runs = make_checkpoint(1, 3).runs
    assert [info.message for info in infos] == ["epoch 0", "epoch 3"]
    assert infos[1].evaluations == sum(run.evaluations for run in runs)
    median = np.median(np.concatenate([run.elites.confidence for run in runs]))
    assert infos[1].median_confidence == float(median)


def test_unknown_checkpoint(store: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint 7; .* 0, 3 \(nearest:7 takes .* table curves"):
        StoreReader(store, 7)
    for wrong in ("nearest:", "nearest:x", "nearest:-1"):
        with pytest.raises(InputError, match=f"no checkpoint {wrong}; .* epochs 0, 3 "):
            StoreReader(store, wrong)


@pytest.mark.parametrize(("epoch", "found"), [(0, 0), (1, 0), (2, 3), (3, 3), (99, 3)])
def test_the_nearest_checkpoint(store: Path, epoch: int, found: int) -> None:
    assert StoreReader(store, f"nearest:{epoch}").epoch == found


def test_of_two_as_near_the_earlier_is_meant(tmp_path: Path) -> None:
    with make_store(tmp_path / "run") as writer:
        for number, epoch in enumerate(range(0, 30, 2)):
            writer.commit(make_checkpoint(number, epoch), complete=False)
    assert StoreReader(tmp_path / "run", "nearest:5").epoch == 4
    with pytest.raises(InputError, match=r"0, 2, 4, .*, 20, … 28 \(15 in all\)"):
        StoreReader(tmp_path / "run", 5)
