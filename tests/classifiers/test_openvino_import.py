"""OpenVINO runs without a word to anybody: no file in the home, no process, no connection."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.optional import needs_openvino
from tests.test_rooms import ROOT, imports

pytestmark = needs_openvino

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
    files = [
        file for folder in ("islands", "tests") for file in (ROOT / folder).rglob("*.py") if file.is_file()
    ]
    assert not [file for file in files if {"openvino"} & {name.partition(".")[0] for name in imports(file)}]
    # pytest's importorskip imports, too.
    assert not [file for file in files if re.search(r"^[^#]*importorskip\(.openvino", file.read_text(), re.M)]


COUNTER = """
import pathlib
class Telemetry:
    def __init__(self, *_, **__): self.tell()
    def tell(self, *_, **__): pathlib.Path("told").write_text(str(counted() + 1))
    send_event = send_error = send_stack_trace = start_session = end_session = force_shutdown = tell
def counted(): return int(pathlib.Path("told").read_text()) if pathlib.Path("told").exists() else 0
"""
"""Stands in for the package that counts."""

IMPORTED_BEFORE = """
import openvino, torch
from openvino.tools.ovc import convert_model
convert_model(torch.nn.ReLU(), example_input=torch.zeros(1, 2))
from openvino_telemetry import counted
before = counted()
from islands.classifiers.registry import load_classifier
load_classifier("lenet-mnist", engine="openvino", device=torch.device("cpu"))
print(before > 0, counted() - before)
"""


def test_whoever_imported_it_before_it_does_not_count_what_we_convert(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry/backend").mkdir(parents=True)
    (tmp_path / "openvino_telemetry/__init__.py").write_text(COUNTER)
    (tmp_path / "openvino_telemetry/backend/__init__.py").touch()
    (tmp_path / "openvino_telemetry/backend/backend_ga4.py").write_text("class GA4Backend: id = None")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORTED_BEFORE],
        env={**os.environ, "PYTHONPATH": path, "ISLANDS_CACHE": str(tmp_path / "cache")},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout.split() == ["True", "0"], done.stderr
