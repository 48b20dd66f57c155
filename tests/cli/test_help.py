"""Help with examples, completion, and words that have a newer one."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import islands
from docs.reference_pages import commands
from islands.cli.help_examples import EXAMPLES
from islands.cli.main import app, execute
from islands.store.reader import StoreReader
from tests.cli.terminals import in_terminal, lines_of
from tests.store.samples import make_checkpoint, make_store

CHECKOUT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_has_examples() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("name", "example"), [(name, each) for name, examples in EXAMPLES.items() for each in examples]
)
def test_an_example_is_a_command(name: str, example: str) -> None:
    islands_, *words = shlex.split(example.partition(" > configuration")[0])
    assert islands_ == "islands"
    if words == ["--version"]:
        assert execute(words) == 0
        return
    of_command = words[len(name.split()) :]
    assert words == [*name.split(), *of_command]
    COMMANDS[name].make_context(name, of_command)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_ends_with_them(name: str, capsys: Capture) -> None:
    assert execute([*name.split(), "-h"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    told = " ".join(said.partition("Examples:")[2].split())
    assert all(" ".join(example.split()) in told for example in EXAMPLES[name])


def test_commands_are_in_panels(capsys: Capture) -> None:
    execute(["-h"])
    said = capsys.readouterr().out
    panels = [line.split()[1] for line in said.splitlines() if line.startswith("╭─")]
    assert panels == ["Options", "Run", "Look", "Judge", "Prepare", "Keep"]


def test_the_version_is_told(capsys: Capture) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out == f"islands {islands.__version__}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("help") / "run"
    with make_store(path, k=10) as writer:
        writer.commit(make_checkpoint(0, 0, k=10), complete=True)
    return path


def completed(line: str, shell: str) -> tuple[list[str], str]:
    """What a shell offers for the last word of a line, and the modules that were imported for it."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    told = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from islands.cli.main import main; main()"],
        env={**os.environ, **told, "_ISLANDS_COMPLETE": f"complete_{shell}", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    words = [shlex.split(word)[0] for word in done.stdout.splitlines() if word]
    return words, done.stderr


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("islands laun", {"launch"}),
        ("islands show STORE --class ", None),
        ("islands score STORE --network lenet", {"lenet-mnist"}),
        ("islands launch f.yaml --set evolve.gen", {"evolve.generations=", "evolve.generations_per_epoch="}),
        ("islands query STORE --preset b", {"best"}),
        ("islands figure STORE con", {"confidence"}),
    ],
)
def test_words_are_completed(line: str, offered: set[str] | None, store: Path) -> None:
    found, imported = completed(line.replace("STORE", str(store)), "bash")
    assert set(found) == (set(StoreReader(store).classes) if offered is None else offered)
    assert not {f"| {' ' * deep}{name}" for name in ("torch", "ray") for deep in range(0, 40, 2)} & {
        row[row.rfind("|") :].rstrip() for row in imported.splitlines()
    }


def test_a_class_of_several_words_is_one_word_in_bash(tmp_path: Path) -> None:
    from islands.cli.completing import _as_word

    assert _as_word("potter's wheel") == "potter's wheel"
    os.environ["_ISLANDS_COMPLETE"] = "complete_bash"
    try:
        word = _as_word("potter's wheel")
    finally:
        del os.environ["_ISLANDS_COMPLETE"]
    assert shlex.split(word) == ["potter's wheel"]


def test_no_store_completes_nothing() -> None:
    assert completed("islands show nowhere --class ", "bash")[0] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["gc", "STORE"], ["prune", "STORE"], "warning: `islands gc` is now `islands prune`;"),
        (
            ["query", "STORE", "--ready", "best"],
            ["query", "STORE", "--preset", "best"],
            "warning: --ready is now --preset;",
        ),
    ],
)
def test_an_old_word_warns_and_does_as_the_new_one(
    old: list[str], new: list[str], said: str, store: Path, capsys: Capture
) -> None:
    outputs = []
    for words in (new, old):
        assert execute([word.replace("STORE", str(store)) for word in words]) == 0
        outputs.append(capsys.readouterr())
    assert outputs[0].out == outputs[1].out
    assert outputs[0].err == ""
    assert outputs[1].err.startswith(said)
    assert outputs[1].err.count("\n") == 1


def test_the_status_says_what_differs(store: Path, capsys: Capture) -> None:
    assert execute(["status", str(store)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("settings")]
    assert "seed=3, runs=2, " in line
    assert "store=" not in line


def test_a_store_that_nobody_writes_is_watched_no_longer(store: Path) -> None:
    said, code = in_terminal(["status", str(store), "--watch"], store.parent, columns=80)
    assert code == 0
    assert lines_of(said)[0].startswith("store")
    assert "islands show" in said
