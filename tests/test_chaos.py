"""Whatever process dies, and whenever: the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import examples

pytestmark = pytest.mark.slow


def test_kills_and_faults_change_no_bit() -> None:
    """Ray #27790, ShinkaEvolve PR #189: processes die; `python -m tests.chaos` does more."""
    count = examples(5)
    command = [sys.executable, "-m", "tests.chaos", "--kills", f"{count}", "--faults", f"{count}"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["kills"] == count
    assert result["faults"] >= count
    assert result["runs"] >= 1
    assert result["differing"] == 0
