"""Whatever README shows as a command is one, its pictures come of these, and its Python runs."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import typer.main
from PIL import Image

import islands
from islands.classifiers.registry import load_classifier
from islands.cli.main import app, execute
from islands.config.resolve import resolve_work_config
from islands.evolution.checkpoint import Checkpoint
from islands.experiments.catalogue import PIPELINES
from islands.experiments.configure import load_run_config
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader
from tests.store.samples import make_checkpoint, make_store

ROOT = Path(__file__).parents[1]
_SHOWN = re.compile(r"(?:^|`|&& )islands ([a-z][^`\n]*?)(?= &&|`|\n)", re.MULTILINE)
_TAKES_A_FILE = ("launch", "plan", "doctor")


def shown() -> list[list[str]]:
    """Return the words of each command, of alternatives the first; with brackets it is none."""
    texts = [text.partition(" >")[0] for text in _SHOWN.findall((ROOT / "README.md").read_text())]
    found = (shlex.split(re.sub(r"(?<=\w)(\\?\|\w+)+", "", text), comments=True) for text in texts)
    return [words for words in found if not any(word.startswith("[") for word in words)]


COMMANDS = [words for words in shown() if len(words) > 1]


def test_there_are_commands_of_all_kinds() -> None:
    assert {"launch", "resume", "query", "bench", "paper", "export"} <= {words[0] for words in COMMANDS}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_its_options_exist(words: list[str]) -> None:
    group = typer.main.get_command(app)
    name, command, rest = group.resolve_command(typer.Context(group), list(words))  # type: ignore[attr-defined]
    command.make_context(name, rest)


def overrides(words: list[str]) -> list[str]:
    return [value for option, value in pairwise(words) if option == "--set"]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "bench"], ids=" ".join)
def test_the_settings_of_bench_fit(words: list[str]) -> None:
    resolve_work_config(PIPELINES, "mnist_cppn", overrides(words))


@pytest.mark.parametrize(
    "words",
    [words for words in COMMANDS if words[0] in _TAKES_A_FILE and (ROOT / words[1]).is_file()],
    ids=" ".join,
)
def test_the_settings_of_a_file_fit(words: list[str]) -> None:
    load_run_config(ROOT / words[1], overrides(words))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small run where README has one, of 21 epochs that were not all committed."""
    folder = tmp_path_factory.mktemp("readme")
    islands.evolve(
        "lenet-mnist",
        generations=200,
        store=folder / "runs/mnist-cppn",
        evolve={"initial": 10, "children": 5},
    )
    return folder


PYTHON = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("code", PYTHON)
def test_its_python_runs(code: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(digits, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    exec(code, {"__name__": "readme"})


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("*.py")), ids=lambda file: file.name)
def test_the_networks_of_the_documentation_load(file: Path) -> None:
    assert load_classifier(f"file:{file}:build", device=torch.device("cpu")).classes


PICTURES = re.findall(
    r"!\[[^\]]*\]\((\.readme/[^)]+)\)\n\n\*[^*]*?`islands (show [^`]*)`", (ROOT / "README.md").read_text()
)


@pytest.mark.parametrize(("picture", "command"), PICTURES)
def test_its_pictures_are_those_of_its_commands(
    picture: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command draws as many pictures, in as many columns, of a run with as many classes."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    with make_store(tmp_path / words[1], k=1000) as writer:
        coder = stored_encoding(StoreReader(words[1]))
        genomes = coder.to_arrays(coder.random(1000, torch.Generator().manual_seed(0)))
        runs = make_checkpoint(0, 0, k=1000).runs
        drawn = [replace(run, elites=replace(run.elites, genomes=genomes)) for run in runs]
        writer.commit(Checkpoint(0, tuple(drawn)), complete=True)
    assert execute([*words, "--out", "x.png"]) == 0
    with Image.open("x.png") as expected, Image.open(ROOT / picture) as shown:
        assert shown.size == expected.size


def test_there_are_pictures_of_commands() -> None:
    assert PICTURES
