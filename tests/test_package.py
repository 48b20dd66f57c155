"""What is installed, and beside what it works."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.test_main import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_one_top_level_name_is_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert names == {"islands"}
    shipped = {path.name for path in (installed / "islands" / "pipelines").glob("*.py")}
    assert shipped == {path.name for path in (ROOT / "pipelines").glob("*.py")}


def test_folders_of_a_user_go_on_working(installed: Path, tmp_path: Path) -> None:
    names = ("pipelines", "cluster", "tests", "report", "config", "store")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "augment.py").write_text("STRENGTH = 3\n")
    own = "; ".join(f"from {name}.augment import STRENGTH" for name in names)
    code = (
        f"{own}; from islands.experiments.configure import resolve_run_config;"
        "print(STRENGTH, resolve_run_config({'pipeline': 'mnist_cppn', 'store': 'x'}, 'test').pipeline)"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    for command, said in ((["-c", code], "3 mnist_cppn"), (["-m", "islands", "pipelines"], "mnist_cppn")):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
