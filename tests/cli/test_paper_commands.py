"""What `islands paper` would take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from islands.cli.main import execute

Capture = pytest.CaptureFixture[str]

WORDS = ["paper", "--plan", "--only", "mnist_cppn", "--only", "retrain_mnist", "--only", "single_target"]


@pytest.mark.parametrize(
    ("budget", "images"),
    [
        ("small", (10 * 40_200, 2 * 10 * 10_200)),
        ("laptop", (50 * 40_200, 2 * 30 * 40_200)),
    ],
)
def test_a_forecast_runs_nothing(
    budget: str, images: tuple[int, int], tmp_path: Path, capsys: Capture
) -> None:
    assert execute([*WORDS, "--budget", budget, "--out", str(tmp_path), "--json"]) == 0
    patterns, retraining, targets = json.loads(capsys.readouterr().out)
    assert (patterns["images"], targets["images"]) == images
    assert patterns["seconds"] > 0
    assert patterns["beside"] == ["train", "test"]
    assert (retraining["images"], retraining["beside"]) == (0, ["retrain-mnist"])
    assert not list(tmp_path.iterdir())


def test_it_is_a_line_for_each_experiment_and_the_sum(tmp_path: Path, capsys: Capture) -> None:
    assert execute([*WORDS, "--out", str(tmp_path)]) == 0
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["mnist_cppn", "retrain_mnist", "single_target"]
    assert "402,000 images" in lines[0]
    assert "of evolution, beside the stages that are named" in total
