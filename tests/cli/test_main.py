"""Exit codes, messages, and what is imported when."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

import islands
from islands.cli import list_commands
from islands.cli.main import execute
from islands.errors import ConfigError, IslandFailedError

ROOT = Path(__file__).parents[2]
COMMANDS = ("launch", "resume", "plan", "status", "query", "show", "export", "networks", "pipelines", "init")
COMMANDS_TO_LOOK = ("lineage", "figure", "report", "view")
SLOW_TO_IMPORT = {"torch", "ray", "zarr", "icechunk", "numpy", "duckdb", "pydantic", "numba", "matplotlib"}


def islands_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "islands", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_tests_import_this_checkout() -> None:
    assert Path(str(islands.__file__)).is_relative_to(ROOT)


def test_help_lists_all_commands_and_imports_nothing_slow() -> None:
    code = (
        "import sys; from islands.cli.main import execute; code = execute(['--help']);"
        f"print('slow:', sorted({SLOW_TO_IMPORT!r} & sys.modules.keys()), code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "slow: [] 0"
    for command in (*COMMANDS, *COMMANDS_TO_LOOK, "version", "--debug"):
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS + COMMANDS_TO_LOOK)
def test_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([command, "--help"]) == 0
    assert f"islands {command}" in capsys.readouterr().out


def test_no_arguments_give_the_help() -> None:
    done = islands_command()
    assert done.returncode == 0
    assert "launch" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lanch"], ["lanch", "`islands --help`"]),
        (["launch"], ["FILE", "`islands launch --help`"]),
        (["launch", "f.yaml", "--progres", "none"], ["--progres"]),
        (["launch", "f.yaml", "--progress", "loud"], ["loud", "rich"]),
        (["launch", "none/f.yaml"], ["none/f.yaml: no such file"]),
        (["plan", "none/f.yaml"], ["none/f.yaml: no such file"]),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


def test_several_mistakes_are_told_in_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("pipeline: mnist_cppn\nruns: 0\n")
    assert execute(["launch", str(path), "--set", "sead=1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"error: {path}") for line in lines] == [
        ":2:1: runs: expected an integer of at least 1, got 0",
        ": store: this key is required",
        "error: --set sead=1: sead: unknown key; did you mean 'seed'?",
    ]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("wrong"), 2, "error: wrong"),
        (IslandFailedError("island 1 failed\nTraceback ..."), 1, "error: island 1 failed"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied"),
        (KeyError("k"), 1, "error: KeyError: 'k' (run with --debug for the traceback)"),
    ],
)
class TestFailure:
    def test_is_one_line(
        self,
        error: Exception,
        code: int,
        line: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.fail_with(error, monkeypatch)
        assert execute(["init", "x"]) == code
        assert capsys.readouterr().err == f"{line}\n"

    def test_has_a_traceback_with_debug(
        self,
        error: Exception,
        code: int,
        line: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.fail_with(error, monkeypatch)
        assert execute(["init", "x"], debug=True) == code
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].startswith("Traceback")
        assert lines[-1] == line

    def fail_with(self, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> Path:
            raise error

        monkeypatch.setattr(list_commands, "cluster_folder", fail)


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_commands, "cluster_folder", interrupt)
    assert execute(["init", "x"]) == 130


def test_debug_may_stand_anywhere() -> None:
    for arguments in (["--debug", "plan", "none.yaml"], ["plan", "none.yaml", "--debug"]):
        done = islands_command(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("Traceback")


def test_closed_pipe_is_silent() -> None:
    pipe = f"{sys.executable} -m islands pipelines --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert done.stderr == ""
