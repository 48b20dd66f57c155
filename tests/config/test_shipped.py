"""The files and pipelines that come with Islands, whole and damaged."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from islands.cli.list_commands import cluster_folder, shipped_files
from islands.errors import ConfigError
from islands.experiments.configure import load_run_config
from tests.conftest import examples

FILES = shipped_files()
SCRAPS = [
    *":#-{}[]&*!|>'\"%@`,?\n\t\x00é",
    *(": ", "\n- ", "\n  ", "null", "~", "1e400", ".nan", "-1", "0o7"),
    *("!!binary x", "<<: ", "? ", "--- ", "*a", "&a "),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_file_is_valid(file: Path) -> None:
    config = load_run_config(file)
    assert config.store.startswith(("runs/", "/shared/runs/", "s3://"))


def test_files_are_those_of_the_readme() -> None:
    named = {"local", "local-imagenet", "gpu", "multi-gpu", "multi-node", "s3", "lenet-pair", "architectures"}
    assert named <= {file.stem for file in FILES}


def test_gpu_file_is_the_experiment_of_the_paper() -> None:
    config = load_run_config(cluster_folder() / "gpu.yaml")
    assert (config.runs, config.islands.count, config.network.view) == (5, 1, "ten-crop")
    assert (config.evolve.children, config.evolve.generations) == (400, 5000)
    assert config.workers.count * config.workers.gpus == pytest.approx(1)


def test_pipelines_import_neither_torch_nor_ray() -> None:
    code = (
        "import sys; from islands.experiments.catalogue import PIPELINES; [*PIPELINES.values()];"
        "print(sorted({'torch', 'ray', 'zarr', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def damage(text: str, dice: random.Random) -> str:
    """Insert, delete, double or move a little somewhere."""
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.randint(0, 12))
        piece = dice.choice(["", dice.choice(SCRAPS), text[start:end] * 2])
        text = text[:start] + piece + text[end:]
    lines = text.splitlines(keepends=True)
    if lines and dice.random() < 0.3:
        lines.insert(dice.randrange(len(lines)), lines.pop(dice.randrange(len(lines))))
    return "".join(lines)


def test_damaged_files_are_valid_or_explained(tmp_path: Path) -> None:
    for seed in range(examples(500)):
        dice = random.Random(seed)
        path = tmp_path / f"{seed}.yaml"
        path.write_text(damage(dice.choice(FILES).read_text(), dice))
        try:
            load_run_config(path)
        except ConfigError as error:
            for line in str(error).splitlines():
                assert line.startswith(str(path)), line
                assert "Traceback" not in line
