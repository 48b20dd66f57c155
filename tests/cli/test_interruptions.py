"""Ctrl-C is answered at once: at the start, in the midst of an epoch, and where Python cannot listen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from islands.errors import StoreError
from islands.store.reader import StoreReader

CHECKOUT = Path(__file__).parents[2]
STOPPING = "Stopping: this epoch is finished, then committed. Ctrl-C again drops it.\n"
NOTHING_WRITTEN = "Stopped before the first checkpoint; nothing was written.\n"

NETWORK = """
import pathlib, time
import torch
from torch import nn

def wait(where):
    pathlib.Path(where).touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)

class Slow(nn.Module):
    classes, input_size, channels, mean, std = ["dark", "light"], 8, 1, 0.5, 0.5

    def forward(self, x):
        if pathlib.Path("HELD_BY").exists():
            wait("evolving")
        return torch.stack([-x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)

def build():
    if LOADS_SLOWLY:
        wait("starting")
    return Slow()
"""

RUN = """
pipeline: custom
store: run
network: {name: "file:net.py:build", engine: torch}
encoding: {name: direct}
evolve: {initial: 4, children: 4, generations: 100000, generations_per_epoch: 1}
workers: {executor: in-process}
checkpoint: {every_s: 0.001}
"""


@contextmanager
def launched(
    folder: Path, *, held_by: str = "hold", loads_slowly: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A run whose network, where there is a file `held_by`, waits for a file `go`."""
    code = NETWORK.replace("HELD_BY", held_by).replace("LOADS_SLOWLY", str(loads_slowly))
    (folder / "net.py").write_text(code)
    (folder / "run.yaml").write_text(RUN)
    command = [sys.executable, "-m", "islands", "launch", "run.yaml", "--progress", "none", "--debug"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def wait_for_a_checkpoint(folder: Path, process: subprocess.Popen[str]) -> None:
    """Let a run go on until it has a checkpoint, and hold it in a later epoch."""

    def has_one() -> bool:
        try:
            return StoreReader(folder / "run").epoch is not None
        except StoreError:
            return False  # not made yet

    wait_for(has_one, process)
    (folder / "hold").touch()
    wait_for((folder / "evolving").exists, process)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def catches(number: signal.Signals, process: subprocess.Popen[str]) -> bool:
    """Tell whether a process has a handler of its own for a signal: evolution's are gone after the first."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.slow
def test_the_first_is_answered_before_the_epoch_ends(tmp_path: Path) -> None:
    with launched(tmp_path) as process:
        wait_for_a_checkpoint(tmp_path, process)
        process.send_signal(signal.SIGINT)
        assert line(process) == STOPPING
        assert not (tmp_path / "go").exists()  # nothing can have ended
        (tmp_path / "go").touch()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "islands resume run" in output
    epoch = StoreReader(tmp_path / "run").epoch
    assert epoch is not None
    assert 0 < epoch < 100_000


@pytest.mark.slow
def test_a_start_leaves_nothing(tmp_path: Path) -> None:
    with launched(tmp_path, loads_slowly=True) as process:
        wait_for((tmp_path / "starting").exists, process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", NOTHING_WRITTEN)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("at_first", [True, False])
def test_the_second_drops_the_epoch(tmp_path: Path, at_first: bool) -> None:
    with launched(tmp_path, held_by="run" if at_first else "hold") as process:
        if at_first:
            wait_for((tmp_path / "evolving").exists, process)
        else:
            wait_for_a_checkpoint(tmp_path, process)
        process.send_signal(signal.SIGINT)
        assert line(process) == STOPPING
        wait_for(lambda: not catches(signal.SIGTERM, process), process)  # of two at once Python hears one
        process.send_signal(signal.SIGINT)
        (tmp_path / "go").touch()  # threads of a pool are waited for
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    if at_first:
        assert errors == NOTHING_WRITTEN
        assert not (tmp_path / "run").exists()
    else:
        epoch = StoreReader(tmp_path / "run").epoch
        assert errors == f"Stopped; the checkpoint of epoch {epoch} stands: islands resume run\n"


def test_it_is_answered_while_the_main_thread_cannot_listen() -> None:
    code = """
import ctypes
from islands.observe.interruptions import answered
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
with answered("heard"):
    print("ready", flush=True)
    libc.pthread_mutex_lock(mutex)  # for ever, whatever signals come
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert line(process) == "heard\n"
        assert process.poll() is None
        process.kill()
