from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.store.samples import make_checkpoint, make_store


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "run"
    with make_store(path) as writer:
        writer.commit(make_checkpoint(1, 0), complete=False)
        writer.commit(make_checkpoint(1, 3), complete=False)
    return path


@pytest.fixture
def store(tmp_path: Path, _template: Path) -> Path:
    """A closed store of 2 runs and 10 classes with checkpoints of epochs 0 and 3."""
    return Path(shutil.copytree(_template, tmp_path / "run"))
