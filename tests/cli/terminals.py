"""Commands in a real pseudo-terminal, and what they write there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]")


def in_terminal(
    words: list[str],
    folder: Path,
    *,
    columns: int,
    environment: Mapping[str, str] | None = None,
    typed: str = "",
) -> tuple[str, int]:
    """Run `islands WORDS` in a terminal; return all that it wrote there, and its exit code.

    Args:
        words: of the command line.
        folder: where it runs.
        columns: of the terminal; it has 40 lines.
        environment: on top of this process's; colours are as the terminal has them.
        typed: what is typed there.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    left_out = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
    inherited = {name: value for name, value in os.environ.items() if name not in left_out}
    process = subprocess.Popen(
        [sys.executable, "-m", "islands", *words],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm-256color", **(environment or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    said = b""
    with os.fdopen(ours, "rb", buffering=0) as screen:
        while True:
            try:
                data = screen.read(65536)
            except OSError:  # Linux says so of the end
                break
            if not data:
                break
            said += data
    return said.decode(), process.wait()


def lines_of(said: str) -> list[str]:
    """Return all lines that were on a terminal, each as often as it was drawn, without colours."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", _CONTROL.sub("", said)) if line.strip()]
