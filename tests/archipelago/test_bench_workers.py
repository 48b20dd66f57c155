"""The measure of workers on Ray: real runs, two after another, into stores that are gone afterwards."""

from __future__ import annotations

import pytest

from islands.bench import workers
from tests.archipelago.conftest import small_config

pytestmark = pytest.mark.slow


def test_workers_are_measured_with_mail_and_commits(
    ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ROUNDS", 1)
    config = small_config(checkpoint={"every_s": 0.2})
    rows = workers.measure_workers(config, seconds=0.05, images_per_second=2000)
    assert [row.name for row in rows] == ["scaling", "scaling_network", "workers", "overhead"]
    assert all(row.value > 0 for row in rows)
