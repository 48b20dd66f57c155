"""What is said while the cluster lacks room."""

from __future__ import annotations

import pytest

from islands.archipelago.placement import bundle, describe_lack
from islands.config import WorkersConfig
from islands.errors import ConfigError
from islands.experiments.configure import resolve_run_config


def test_what_is_missing_is_told_for_each_node() -> None:
    needed = [bundle(WorkersConfig(gpus=0.25, resources={"accelerator_type:A100": 0.001}), 2)] * 3
    nodes = [("10.0.0.1", {"CPU": 8.0}), ("10.0.0.2", {"CPU": 8.0, "GPU": 1.0, "accelerator_type:A100": 1.0})]
    text = describe_lack(needed, nodes)
    assert text.startswith("asked for 3 x 2 CPU, 3 x 0.5 GPU, 3 x 0.002 accelerator_type:A100; the Ray")
    assert text.endswith(
        "1 GPU, 1 accelerator_type:A100 on 2 nodes, with room on 10.0.0.1 for 0, 10.0.0.2 for 2"
    )


def test_the_least_is_at_most_the_count() -> None:
    with pytest.raises(ConfigError, match="min is 3, more than count"):
        resolve_run_config({"pipeline": "mnist_cppn", "store": "unused", "workers": {"count": 2, "min": 3}})
