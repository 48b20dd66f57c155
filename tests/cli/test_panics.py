"""What reaches stderr while a command reads a store."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import os, sys
from islands.cli.panics import without_panics

@without_panics
def command():
    print("of Python", file=sys.stderr)
    os.write(2, {said!r})
    raise KeyError("an error")

try:
    command()
except KeyError:
    print("the error", file=sys.stderr)
    os.write(2, b"afterwards\\n")
"""
PANIC = (
    b"\nthread 'tokio' panicked at /src/chunk.rs:7:9:\nshould be ordered\nnote: run with `RUST_BACKTRACE=1`\n"
)


def stderr_of(said: bytes) -> list[str]:
    command = [sys.executable, "-c", CODE.format(said=said)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()


def test_what_rust_says_of_a_panic_is_left_out() -> None:
    assert stderr_of(PANIC) == ["of Python", "the error", "afterwards"]


def test_all_else_is_passed_on() -> None:
    assert stderr_of(b"a warning\n") == ["of Python", "a warning", "the error", "afterwards"]
