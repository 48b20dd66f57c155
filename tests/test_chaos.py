"""Whatever process dies, and whenever: the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_twenty_kills_and_faults_change_no_bit() -> None:
    """Ray #27790, ShinkaEvolve PR #189: 20 processes die; `python -m tests.chaos` does more."""
    storm = ["--kills", "20", "--faults", "20", "--epochs", "200", "--seed", "0"]
    command = [sys.executable, "-m", "tests.chaos", *storm]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["kills"], result["faults"]) == (20, 20)
    assert result["runs"] >= 1
    assert result["differing"] == 0
