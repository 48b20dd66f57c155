"""A run with somebody else's code: what its store remembers, who may run it, and how it comes to workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import islands
from islands.config import WorkConfig
from islands.config.own_code import TRUST, Own, files_of, fingerprints, own_code, packed, unpacked
from islands.encodings.settings import ENCODINGS
from islands.errors import ConfigError, NetworkError
from islands.experiments.configure import resolve_run_config
from islands.extensions import kinds, references
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.runs.score import score_store
from islands.runs.verify import verify
from islands.store.images import render_elite
from islands.store.reader import StoreReader
from tests.extensions import own

ENCODING = "file:mine.py:Mosaic"
NETWORK = "file:net.py:build"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a folder with its own code, which no other test has imported."""
    monkeypatch.chdir(own.write(tmp_path / "here"))
    forget(monkeypatch)
    return tmp_path / "here"


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process one that has imported none of it, as a new one is."""
    monkeypatch.setattr(kinds, "_loaded", {})
    monkeypatch.setattr(references, "_moved", {})
    sys.modules.pop("helper", None)


def config(store: str = "run", generations: int = 4, **settings: Any) -> dict[str, Any]:
    return {
        "pipeline": "custom",
        "store": store,
        "network": {"name": NETWORK},
        "encoding": {"name": ENCODING, "tiles": 3},
        "evolve": {
            "preset": "paper",
            "initial": 8,
            "children": 8,
            "generations": generations,
            "generations_per_epoch": 2,
        },
        "workers": {"executor": "in-process", "device": "cpu"},
        **settings,
    }


def launched(**settings: Any) -> StoreReader:
    return launch(resolve_run_config(config(**settings)))


def digests(store: str) -> list[str]:
    reader = StoreReader(store)
    return [reader.resumable(run).elites.ids.tobytes().hex() for run in range(reader.runs)]


def test_a_store_remembers_references_and_fingerprints() -> None:
    found = launched().code
    assert {group: list(names) for group, names in found.items()} == {
        "encodings": [ENCODING],
        "networks": [NETWORK],
    }
    assert all(len(fingerprint) == 64 for names in found.values() for fingerprint in names.values())
    assert launch(resolve_run_config({**config("ours"), "encoding": {"name": "direct"}})).code.keys() == {
        "networks"
    }


def test_a_resume_gives_the_same_bits() -> None:
    launched(generations=8)
    launched(store="half")
    resume("half", ["evolve.generations=8"])
    assert digests("half") == digests("run")


@pytest.mark.parametrize("file", ["mine.py", "helper.py", "net.py"])
def test_a_resume_with_other_code_is_refused_in_a_line(
    file: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched()
    text = (here / file).read_text()
    (here / file).write_text(text + "# changed\n")
    forget(monkeypatch)
    with pytest.raises(
        ConfigError, match=r"has fingerprint \w{12}, but the run was started with \w{12}"
    ) as said:
        resume("run", ["evolve.generations=8"])
    assert len(str(said.value).splitlines()) == 1
    (here / file).write_text(text)
    assert resume("run", ["evolve.generations=8"]).complete


def test_a_resume_without_the_code_is_refused_in_a_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched()
    (here / "mine.py").unlink()
    forget(monkeypatch)
    with pytest.raises(ConfigError, match=r"no such Python file.*this run was started with it"):
        resume("run", ["evolve.generations=8"])


LOOK = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
from islands.cli.main import execute

results = []
for command in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as said:
        code = execute(command)
    results.append([code, said.getvalue()])
print(json.dumps(results), flush=True)
os._exit(0)  # Icechunk may abort at the interpreter's exit
"""


def test_looking_runs_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that would end if it did."""
    launched()
    for file in ("mine.py", "net.py"):
        (here / file).write_text("import os\nos._exit(77)\n")
    commands = [
        ["status", "run"],
        ["query", "run", "select operator, count(*) from history group by 1"],
        ["verify", "run"],
        ["export", "run", "pictures"],
        ["report", "run"],
        ["show", "run", "--sheet"],
        ["score", "run", "--network", "lenet-mnist", "--out", "scores.json"],
        ["resume", "run", "--set", "evolve.generations=8"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done
    for command, (code, said) in zip(commands, json.loads(done.stdout), strict=True):
        assert code == (0 if command[0] in ("status", "query") else 2), (command, said)
        if code:
            assert said.startswith("error: "), (command, said)
            assert len(said.splitlines()) == 1, (command, said)


def test_who_trusts_a_store_sees_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    launched()
    reader = StoreReader("run")
    with pytest.raises(ConfigError, match=f"names the code '{ENCODING}'.*set {TRUST}=1"):
        render_elite(reader, 0)
    with pytest.raises(NetworkError, match="--trust-networks"):
        verify("run")
    assert verify("run", trust_networks=True).mismatches == ()
    monkeypatch.setenv(TRUST, "1")
    picture = render_elite(reader, 0)
    assert picture.shape == (16, 16, 1)
    assert islands.open("run").image(2).shape == (16, 16, 1)


def test_pictures_of_other_code_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched()
    (here / "helper.py").write_text("RATE = 0.9\n")
    forget(monkeypatch)
    monkeypatch.setenv(TRUST, "1")
    with pytest.raises(ConfigError, match=r"the source of file:mine\.py:Mosaic has fingerprint"):
        render_elite(StoreReader("run"), 0)


def test_elites_are_scored_on_other_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    launched()
    held_out = resolve_run_config(config(held_out=["file:net.py:other"])).held_out
    with pytest.raises(ConfigError, match="names the code"):
        score_store("run", held_out)
    monkeypatch.setenv(TRUST, "1")
    assert len(score_store("run", held_out)["class"]) == 6


def test_what_is_edited_while_it_runs_is_not_what_is_remembered(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = resolve_run_config(config())
    was = fingerprints([Own(ENCODINGS, ENCODING)])
    (here / "helper.py").write_text("RATE = 0.9\n")
    assert fingerprints([Own(ENCODINGS, ENCODING)]) == was
    files = {name: text for _, _, _, texts in packed(ready)["code"] for name, text in texts.items()}
    assert files["helper.py"] == "RATE = 0.3\n"
    launch(ready)
    assert StoreReader("run").code["encodings"] == was["encodings"]
    forget(monkeypatch)
    with pytest.raises(ConfigError, match="but the run was started with"):
        resume("run", ["evolve.generations=8"])


class TestTravel:
    def there(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Go to another machine: another folder, and nothing imported."""
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ISLANDS_CACHE", str(folder / "cache"))
        forget(monkeypatch)
        return folder

    def test_code_comes_along(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        message = json.loads(json.dumps(packed(resolve_run_config(config()))))
        there = self.there(tmp_path / "there", monkeypatch)
        found = unpacked(message)
        assert isinstance(found, WorkConfig)
        assert type(found.encoding).__name__ == "Mosaic"
        assert found.encoding.build(1, 16).size == 16
        assert {file.name for file in (there / "cache/code").rglob("*.py")} == {
            "mine.py",
            "helper.py",
            "net.py",
        }
        forget(monkeypatch)
        assert type(unpacked(message).encoding).__name__ == "Mosaic", "what has come is used again"

    def test_what_is_the_same_here_stays_where_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = packed(resolve_run_config(config()))
        there = self.there(tmp_path / "there", monkeypatch)
        own.write(there)
        unpacked(message)
        assert not (there / "cache").exists()

    def test_other_code_of_that_name_is_not_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = packed(resolve_run_config(config()))
        there = self.there(tmp_path / "there", monkeypatch)
        own.write(there)
        (there / "mine.py").write_text("raise SystemExit('not this one')\n")
        assert type(unpacked(message).encoding).__name__ == "Mosaic"

    def test_a_module_comes_along(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        message = packed(resolve_run_config({**config(), "encoding": {"name": "mine:Mosaic"}}))
        self.there(tmp_path / "there", monkeypatch)
        sys.modules.pop("mine", None)
        assert type(unpacked(message).encoding).__name__ == "Mosaic"

    def test_what_was_changed_in_the_cache_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        message = packed(resolve_run_config(config()))
        there = self.there(tmp_path / "there", monkeypatch)
        unpacked(message)
        next(there.rglob("helper.py")).write_text("RATE = 1\n")
        forget(monkeypatch)
        with pytest.raises(ConfigError, match="is not what was written there; remove it"):
            unpacked(message)

    def test_what_cannot_be_imported_there_is_told(
        self, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (here / "helper.py").write_text("import os\nassert 'THERE' not in os.environ\nRATE = 0.1\n")
        message = packed(resolve_run_config(config()))
        self.there(tmp_path / "there", monkeypatch)
        monkeypatch.setenv("THERE", "1")
        with pytest.raises(ConfigError, match=r"file:mine\.py:Mosaic: its import failed with AssertionError"):
            unpacked(message)

    def test_an_installed_package_must_be_there(self) -> None:
        message = packed(resolve_run_config(config()))
        message["code"] = [("encodings", "elsewhere", "0" * 64, None)]
        with pytest.raises(ConfigError, match="install the same package on all nodes"):
            unpacked(message)

    def test_a_job_takes_files_from_here_alone(self, here: Path) -> None:
        assert files_of(resolve_run_config(config())).keys() == {"mine.py", "helper.py", "net.py"}
        (here / "sub").mkdir()
        own.write(here / "sub")
        inside = resolve_run_config({**config(), "encoding": {"name": "file:sub/mine.py:Mosaic"}})
        assert files_of(inside).keys() == {"sub/mine.py", "sub/helper.py", "net.py"}
        shared = resolve_run_config({**config(), "encoding": {"name": f"file:{here}/mine.py:Mosaic"}})
        assert files_of(shared).keys() == {"net.py"}
        outside = resolve_run_config({**config(), "encoding": {"name": "file:../here/mine.py:Mosaic"}})
        with pytest.raises(ConfigError, match="lies outside the current folder"):
            files_of(outside)

    def test_a_network_may_be_where_workers_are_alone(self) -> None:
        elsewhere = resolve_run_config({**config(), "network": {"name": "of_the_cluster:build"}})
        assert files_of(elsewhere).keys() == {"mine.py", "helper.py"}
        assert [name for _, name, _, _ in packed(elsewhere)["code"]] == [ENCODING]
        assert fingerprints(own_code(elsewhere)).keys() == {"encodings"}
