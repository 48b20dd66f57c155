"""The network of the documentation is evolved as its page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from islands.store.images import render_elite
from islands.store.reader import StoreReader

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_network_of_the_page_is_evolved_by_changing_one_line(tmp_path: Path) -> None:
    page = (CHECKOUT / "docs/how-to/own-network.md").read_text()
    block = re.search(
        r'<!-- test:own-network -->\n```python title="my_network.py"\n(.*?)```', page, re.DOTALL
    )
    assert block, "own-network.md has no fenced block after <!-- test:own-network -->"
    (tmp_path / "my_network.py").write_text(block[1])
    (tmp_path / "run.yaml").write_text(
        "pipeline: mnist_cppn\nstore: run\nworkers: {executor: in-process}\n"
        "evolve: {initial: 20, children: 20, generations: 10}\n"
        "network: {name: my_network:build}\n"
    )
    command = [sys.executable, "-m", "islands", "launch", "run.yaml", "--progress", "none"]
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    reader = StoreReader(tmp_path / "run")
    assert reader.classes == ("circle", "square", "triangle")
    assert render_elite(reader, 0).shape == (64, 64, 3)
