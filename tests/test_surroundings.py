"""Where commands run: cron, batch jobs, containers. Each runs, or says one line before anything is spent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from islands.folders import cache_directory
from islands.store.reader import StoreReader
from tests.cli.test_main import ROOT
from tests.store.samples import make_checkpoint, make_store

ISLANDS = [sys.executable, "-m", "islands"]
LAUNCH = [
    *(*ISLANDS, "launch", str(ROOT / "cluster" / "local.yaml"), "--set", "store=run"),
    *("--set", "evolve.generations=10", "--set", "workers.count=1", "--progress", "none"),
]
IN_PROCESS = [*LAUNCH, "--set", "workers.executor=in-process"]
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def run(
    command: list[str], folder: Path, without: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != without}
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def namespaces() -> None:
    """Users without a name and file systems of one's own, for those who may make them."""
    done = subprocess.run(["unshare", "--user", "--map-user=54321", "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this system lets nobody make user namespaces: `unshare --user --map-user=54321 true`")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_take_nothing_in(closed: str, tmp_path: Path) -> None:
    done = run(["sh", "-c", f"'{sys.executable}' -m islands pipelines {closed}"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_an_ascii_terminal_gets_text_escaped_and_no_pictures(tmp_path: Path) -> None:
    with make_store(tmp_path / "run", k=8) as writer:
        writer.commit(make_checkpoint(1, 0, k=8), complete=False)
    sql = "select 'é' as sign, name from classes where class = 7"
    shown = run([*ISLANDS, "query", "run", sql], tmp_path, **ASCII)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\\xe9 " in shown.stdout
    assert "cl\\xe4sse, 7" in shown.stdout
    drawn = run([*ISLANDS, "show", "run", "--class", "1", "--terminal"], tmp_path, **ASCII)
    assert drawn.returncode == 2
    assert drawn.stderr.startswith("error: this terminal's encoding is ")
    assert len(drawn.stderr.splitlines()) == 1


def test_an_argument_that_is_no_text_is_refused(tmp_path: Path) -> None:
    done = run(["sh", "-c", f"'{sys.executable}' -m islands status \"$(printf 'a\\377')\""], tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: got an argument that is not UTF-8: b'a\\xff'\n"


def test_a_process_without_a_home_gets_one(tmp_path: Path, namespaces: None) -> None:
    code = "from islands.folders import cache_directory; print(cache_directory('mnist'))"
    command = ["unshare", "--user", "--map-user=54321", sys.executable, "-c", code]
    done = run(command, tmp_path, without="HOME", ISLANDS_CACHE="", XDG_CACHE_HOME="", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("ISLANDS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert cache_directory("a").is_relative_to(tmp_path)
    (tmp_path / f"islands-{os.getuid()}").chmod(0o777)
    with pytest.raises(ValueError, match="others can write it"):
        cache_directory("a")


@pytest.mark.slow
def test_a_run_with_closed_streams_makes_a_sound_store(tmp_path: Path) -> None:
    command = " ".join(f"'{word}'" for word in IN_PROCESS)
    assert run(["sh", "-c", f"{command} <&- >&- 2>&-"], tmp_path).returncode == 0
    assert StoreReader(tmp_path / "run").complete


@pytest.mark.slow
def test_a_temporary_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    done = run(LAUNCH, tmp_path, without="RAY_TMPDIR", TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert StoreReader(tmp_path / "run").complete


@pytest.mark.slow
def test_a_user_without_a_name_and_a_home(tmp_path: Path, namespaces: None) -> None:
    command = ["unshare", "--user", "--map-user=54321", *LAUNCH]
    done = run(command, tmp_path, without="HOME", ISLANDS_CACHE=str(cache_directory()))
    assert done.returncode == 0, done.stderr
    assert StoreReader(tmp_path / "run").complete


@pytest.mark.slow
def test_a_home_that_cannot_be_written(tmp_path: Path, namespaces: None) -> None:
    home, others = tmp_path / "home", tmp_path / f"islands-{os.getuid()}"
    home.mkdir()
    others.mkdir(mode=0o700)
    shutil.copytree(cache_directory("mnist"), others / "mnist")
    script = f'mount -t tmpfs -o ro none "{home}" && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *IN_PROCESS]
    surroundings = {"HOME": str(home), "TMPDIR": str(tmp_path), "ISLANDS_CACHE": "", "XDG_CACHE_HOME": ""}
    done = run(command, tmp_path, **surroundings)
    assert done.returncode == 0, done.stderr
    assert "right on" in (tmp_path / "run" / "findings.txt").read_text()
    assert "verdicts" in done.stdout
    assert StoreReader(tmp_path / "run").complete
