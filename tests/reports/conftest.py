"""A small evolved store, with class names that try to break out of a page, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from islands.evolution.scores import HeldOutScores, Scores
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.archipelago.conftest import Evolution, in_process, small_config, stored_config

NAMES = [
    "tench",
    "<img src=x onerror=hacked=1>",
    "../../etc/passwd",
    "</script><b>bold",
    "crane",
    "crane",
    "a & b",
]
NAMES += ["clässe", "'quoted\"", "lion"]
EVOLVE = {"initial": 10, "children": 20, "generations": 40, "generations_per_epoch": 4}
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="session")
def evolution() -> Evolution:
    """Two runs of three islands that committed every epoch they could."""
    return in_process(small_config(evolve=EVOLVE, checkpoint={"every_s": 1e-9}))


@pytest.fixture(scope="session")
def evolved(evolution: Evolution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all commits of `evolution`; nobody changes it."""
    path = tmp_path_factory.mktemp("evolved") / "run"
    with new_store(path) as writer:
        for commit in evolution.commits:
            writer.commit(commit, complete=commit is evolution.last)
    return path


@pytest.fixture(scope="session")
def scored(evolved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with scores of two held-out networks: one agrees with the even classes, one with none."""
    path = Path(shutil.copytree(evolved, tmp_path_factory.mktemp("scored") / "run"))
    with StoreWriter.open(path) as writer:
        writer.commit_scores([scores_of(path, "one", agrees=2), scores_of(path, "two", agrees=10**6)])
    return path


def new_store(path: Path) -> StoreWriter:
    config = stored_config(path, evolve=EVOLVE)
    return StoreWriter.create(path, config, NAMES, "f" * 64, channels=1, size=28)


def scores_of(path: Path, network: str, agrees: int) -> HeldOutScores:
    """Return scores of a held-out network that agrees on the classes that `agrees` divides, but for 0."""
    reader = StoreReader(path)
    k = len(NAMES)
    classes = np.arange(k, dtype=np.int32)
    holds = (classes % agrees == 0) & (classes > 0)
    runs = tuple(
        Scores(
            ids=reader.elites(run).ids,
            epochs=np.full(k, reader.epoch, np.int32),
            target_probability=np.where(holds, 0.75, 0.125).astype(np.float32),
            target_rank=np.where(holds, 1, 7).astype(np.int32),
            top1=np.where(holds, classes, (classes + 1) % k).astype(np.int32),
            top1_probability=np.full(k, 0.75, np.float32),
        )
        for run in range(reader.runs)
    )
    return HeldOutScores(network, {"name": network}, f"{agrees:064}", runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        # A container's root has no user namespaces for Chromium's own sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
