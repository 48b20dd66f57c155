"""Which checkpoint is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from islands.errors import InputError
from islands.store.reader import StoreReader
from tests.store.comparing import assert_resumes
from tests.store.samples import make_checkpoint


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
    with pytest.raises(InputError, match=r"no checkpoint 7; its epochs are 0 to 3"):
        StoreReader(store, 7)
