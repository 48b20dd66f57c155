"""Every block of the documentation: Python and commands run, configurations load, nothing is unmarked."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import typer.main
import yaml

import islands
from islands.cli.main import app, execute
from islands.experiments.configure import load_run_config, resolve_run_config
from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks, commands, is_like, overrides, words_of

TUTORIALS = DOCS / "tutorials"

RUN = [page for page in PAGES if page.parent != TUTORIALS and page.name != "command-line.md"]
"""Pages whose blocks run here.

Those of tutorials are written from scripts, see `test_tutorials`; the page of commands has the examples of
the help, see `tests/cli/test_help.py`.
"""

COMMANDS = typer.main.get_command(app)

TAKE_A_FILE = ("launch", "plan", "doctor", "compare")

PLAIN = {"text", "bibtex"}
"""Languages of what is not run."""

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a checkout has, and the run that pages speak of."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("cluster", "pipelines"):
        (folder / name).symlink_to(ROOT / name)
    islands.evolve(
        "lenet-mnist",
        generations=200,
        islands={"count": 2},
        store=folder / "runs/mnist-cppn",
        evolve={"initial": 20, "children": 20, "preset": "paper"},
        held_out=["linear-mnist"],
    )
    return folder


@pytest.fixture
def here(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(checkout, tmp_path, dirs_exist_ok=True, symlinks=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_blocks_do_what_they_say(page: Path, here: Path, capsys: Capture) -> None:
    """Blocks of a page run one after the other, in one folder; those of Python share their names."""
    names: dict[str, object] = {"__name__": "page"}
    said = ""
    for block in blocks(page):
        where = f"{name_of(page)}, line {block.line}"
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        match block.language:
            case "python":
                code = compile(block.text, where, "exec")
                said = "" if block.mark == "compiled" else printed(code, names)
            case "console":
                said = ""
                for command in commands(block):
                    run(command.line, command.output, block.mark == "parsed", where, capsys)
            case "yaml":
                load(block)
            case "json":
                json.loads(block.text)
            case "text" if said:
                assert is_like(block.text, said), f"{where}: it prints\n{said}"
                said = ""


def printed(code: object, names: dict[str, object]) -> str:
    with redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # type: ignore[arg-type]
    return out.getvalue()


def run(line: str, shown: str, only_parsed: bool, where: str, capsys: Capture) -> None:
    """Run a command, and compare what it prints; or see that its options and settings are known."""
    for words in words_of(line):
        parse(words)
    if only_parsed:
        return
    (words,) = words_of(line)
    assert line.startswith("islands "), f"{where}: only commands of Islands run here; say why it is parsed"
    capsys.readouterr()
    assert execute(words) == 0, f"{where}: {line}\n{capsys.readouterr().err}"
    if shown:
        said = capsys.readouterr().out
        assert is_like(shown, said), f"{where}: {line} prints\n{said}"


def parse(words: list[str]) -> None:
    if words == ["--version"]:
        return
    context = typer.Context(COMMANDS)
    name, command, rest = COMMANDS.resolve_command(context, list(words))  # type: ignore[attr-defined]
    if hasattr(command, "commands"):
        name, command, rest = command.resolve_command(typer.Context(command), rest)
    command.make_context(name, list(rest))
    if words[0] in TAKE_A_FILE and (ROOT / words[1]).is_file():
        load_run_config(ROOT / words[1], overrides(words))


def load(block: Block) -> None:
    """Load a configuration, or a part of one; a file of arms is several."""
    values = yaml.safe_load(block.text)
    if "pipeline" in values:
        load_run_config(block.title)
        return
    for part in values.values() if block.title.startswith("arms") else [values]:
        resolve_run_config({"pipeline": "mnist_cppn", "store": "x", **part}, written=True)


def all_blocks() -> Iterator[tuple[Path, Block]]:
    for page in PAGES:
        for block in blocks(page):
            yield page, block


def test_no_block_is_of_an_unknown_kind() -> None:
    for page, block in all_blocks():
        where = f"{name_of(page)}, line {block.line}"
        is_test_command = page.name == "README.md" and block.text == "pip install '.[test]' && pytest\n"
        known = {"python", "console", "yaml", "json", *PLAIN}
        assert block.language in known or is_test_command, f"{where}: say its language"


def test_what_is_run_is_much() -> None:
    """Marks are exceptions: most blocks of Python run, and half of the pages have a block that does."""
    python = [block for _, block in all_blocks() if block.language == "python"]
    assert sum(block.mark == "compiled" for block in python) <= len(python) // 10
    running = {page for page, block in all_blocks() if block.language == "console" and not block.mark}
    assert len(running) >= 8
