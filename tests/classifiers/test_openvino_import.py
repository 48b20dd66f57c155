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

RUNS = """
import sys, torch
from islands.classifiers.registry import load_classifier
network = load_classifier("lenet-mnist", engine="openvino", device=torch.device("cpu"))
network.predict(torch.zeros((2, 1, 28, 28), dtype=torch.uint8))
assert "openvino_telemetry" not in sys.modules
import openvino_telemetry
"""
"""The last line: whoever else wants the package that counts finds it afterwards."""

BARE = RUNS.partition("assert")[0].replace("openvino", "torch")

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
    # CI=true would silence it as well, and what is compiled is kept in the cache.
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    calls = "trace=fork,vfork,clone,clone3,execve,connect,sendto,sendmsg,sendmmsg"
    subprocess.run(
        [strace, "-f", "-e", calls, "-o", str(trace), sys.executable, "-W", "ignore", "-c", code],
        env={**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT), "ISLANDS_CACHE": str(folder / "cache")},
        timeout=240,
        check=True,
    )
    return {str(file.relative_to(home)) for file in home.rglob("*")}, trace.read_text()


def processes(trace: str) -> int:
    """Return how many processes were started, threads left out."""
    forks = re.findall(r"\b(?:v?fork|clone3?)\(.*", trace)
    return sum("CLONE_THREAD" not in call and "unfinished" not in call for call in forks)


@pytest.mark.slow
def test_a_network_runs_on_it_and_nothing_is_written_started_or_asked(tmp_path: Path, strace: str) -> None:
    files, trace = run_alone(RUNS, tmp_path / "runs", strace)
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
