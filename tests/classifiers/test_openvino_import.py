"""OpenVINO runs without a word to anybody: no file in the home, no process, no connection."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_rooms import ROOT, imports

pytest.importorskip("openvino")

CONVERTS = """
import sys, torch
from islands.classifiers.openvino_import import import_openvino
openvino = import_openvino()
assert "openvino_telemetry" not in sys.modules
openvino.Core().compile_model(openvino.convert_model(torch.nn.Linear(3, 2), example_input=torch.zeros(1, 3)))
import openvino_telemetry
"""
"""The last line: whoever else wants the package that counts finds it afterwards."""

BARE = "import torch"

TELLTALE = """
import os, pathlib, socket
if os.fork() == 0:
    (pathlib.Path.home() / "identifier").write_text("1")
    socket.socket().connect_ex(("127.0.0.1", 9))
    os._exit(0)
os.wait()
"""
"""What it would do, to this machine alone."""


@pytest.fixture(scope="module")
def strace() -> str:
    found = shutil.which("strace")
    if found is None or subprocess.run([found, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("needs strace, which sees what child processes do")
    return found


def run_alone(code: str, folder: Path, strace: str) -> tuple[set[str], str]:
    """Run code with a home of its own; return the files in it then, and the system calls of all processes."""
    home, trace = folder / "home", folder / "trace"
    home.mkdir(parents=True)
    # CI=true would silence it as well.
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    calls = "trace=fork,vfork,clone,clone3,execve,connect,sendto,sendmsg,sendmmsg"
    subprocess.run(
        [strace, "-f", "-e", calls, "-o", str(trace), sys.executable, "-W", "ignore", "-c", code],
        env={**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT)},
        timeout=240,
        check=True,
    )
    return {str(file.relative_to(home)) for file in home.rglob("*")}, trace.read_text()


def processes(trace: str) -> int:
    """Return how many processes were started, threads left out."""
    forks = re.findall(r"\b(?:v?fork|clone3?)\(.*", trace)
    return sum("CLONE_THREAD" not in call and "unfinished" not in call for call in forks)


@pytest.mark.slow
def test_import_and_conversion_write_nothing_start_nothing_and_ask_nobody(
    tmp_path: Path, strace: str
) -> None:
    files, trace = run_alone(CONVERTS, tmp_path / "converts", strace)
    _, usual = run_alone(BARE, tmp_path / "bare", strace)
    assert files == set()
    assert processes(trace) == processes(usual)
    assert "AF_INET" not in trace


@pytest.mark.slow
def test_the_watch_would_see_it(tmp_path: Path, strace: str) -> None:
    files, trace = run_alone(TELLTALE, tmp_path, strace)
    assert files == {"identifier"}
    assert processes(trace) > 0
    assert "AF_INET" in trace


def test_all_import_it_in_one_place() -> None:
    files = [file for file in (ROOT / "islands").rglob("*.py") if file.is_file()]
    assert not [file for file in files if {"openvino"} & {name.partition(".")[0] for name in imports(file)}]
