"""Pages of the reference are what the source says, and everything has its entry."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import islands
from docs.reference_pages import FOLDER, commands, pages
from islands.cli.main import app
from islands.config.described import described, known_keys
from islands.experiments.configure import resolve_run_config
from islands.store.columns import TABLES
from tests.docs.pages import DOCS, PAGES, ROOT

GENERATED = pages()

LISTS = {"held_out", "measures", "emitters", "others"}
"""Sections that are lists of such."""

NEEDED: dict[str, dict[str, Any]] = {
    "free_form": {"pairs": [[0, 1]]},
    "mlflow": {"tracking_uri": "mlruns"},
    "tensorboard": {"folder": "board"},
    "wandb": {"project": "mine"},
    "held_out": {"name": "svm-mnist"},
    ": screen_margin": {"screen": "bfloat16"},
}
"""What a choice, a section or a setting cannot do without."""


@pytest.mark.parametrize("name", GENERATED)
def test_a_page_is_what_the_source_says(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == GENERATED[name], "run: python -m docs.reference_pages"


def test_every_page_of_the_folder_is_written_so() -> None:
    assert {file.name for file in FOLDER.iterdir()} == GENERATED.keys()


def test_every_command_and_option_has_its_entry() -> None:
    text = GENERATED["command-line.md"]
    for name, command in commands(typer.main.get_command(app)):
        section = text.partition(f"\n## islands {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for each in command.params:
            if not each.hidden and each.opts[0].startswith("-"):
                assert f"`{'/'.join(each.opts)}" in section or f"`{', '.join(each.opts)}" in section, each
                assert each.help, f"{name} {each.opts}: has no help"


def test_every_setting_has_a_sentence() -> None:
    text = GENERATED["configuration.md"]
    for key in known_keys(described()):
        rows = re.findall(rf"^\| `{key.rpartition('.')[2]}` \| ([^|]*) \|", text, re.MULTILINE)
        assert rows, key
        assert all(row.strip().endswith(".") or "`" in row for row in rows), (key, rows)


def rows_of(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield the section, the name of a choice, and the example of each setting in the page of settings."""
    for section in page.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        path, _, name = heading.replace("`", "").partition(", with name: ")
        for line in re.findall(r"^\| `\w+` \|.*\| `([^|]*)` \|$", section, re.MULTILINE):
            yield "" if path == "The file" else path, name, line


@pytest.mark.parametrize(("path", "name", "line"), [*rows_of(GENERATED["configuration.md"])])
def test_an_example_of_a_setting_is_valid(path: str, name: str, line: str) -> None:
    value: Any = yaml.safe_load(line)
    (key,) = value
    for needy in (name, path, f": {key}"):
        value = {**NEEDED.get(needy, {}), **value}
    if name:
        value = {"name": name, **value}
    for step in reversed(path.split(".") if path else []):
        value = {step: [value] if step in LISTS else value}
    if path == "evolve.emitters":
        value["evolve"]["emitters"].append({"name": "fine" if name == "mutation" else "mutation"})
    base = {"pipeline": "mnist_cppn", "store": "x"}
    value["islands"] = {"count": 2, **value.get("islands", {})}
    resolve_run_config({**base, **value}, written=True)


def test_every_name_of_python_has_its_entry() -> None:
    text = GENERATED["python.md"]
    for name in islands.__all__:
        assert name == "__version__" or f"\n### islands.{name}\n" in text, name
    assert "islands.__version__" in text


def test_every_table_has_its_columns() -> None:
    text = GENERATED["sql.md"]
    for name, columns in TABLES.items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{column}` | `" in section for column in columns), name


ERRORS = [each for each in vars(islands.errors).values() if inspect.isclass(each)]


def test_every_error_is_in_the_troubleshooting() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    for error in ERRORS:
        assert error is islands.errors.IslandsError or f"\n## {error.__name__}\n" in text, error


def messages() -> str:
    """Return all texts of the source, with `…` for what varies: what can be said to a user."""
    found = []
    for file in (ROOT / "islands").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (each.value if isinstance(each, ast.Constant) else "…" for each in node.values)
                found.append("".join(map(str, parts)))
    return "\n".join(found)


def test_the_messages_of_the_troubleshooting_are_those_of_the_source() -> None:
    """Each stretch between what varies stands somewhere in the source."""
    said = messages()
    shown = re.findall(
        r"^`([^`]+)`\n:", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(shown) > 40
    missing = [part for each in shown for part in re.split(r"\s*'?…'?\s*", each) if part and part not in said]
    assert not missing


def test_the_glossary_has_the_words_of_the_architecture() -> None:
    table = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Words")[2]
    words = re.findall(r"^\| ([a-z][^|]*?) \|", table.partition("\n## ")[0], re.MULTILINE)
    glossary = (DOCS / "concepts/glossary.md").read_text(encoding="utf-8")
    entries = {
        word.strip()
        for line in re.findall(r"^(\w.*)\n\n?:", glossary, re.MULTILINE)
        for word in line.split(",")
    }
    inside = {"place", "niche", "brood", "delta", "mirror", "course", "item"}  # words of the code alone
    named = {word.strip() for line in words for word in line.split(",")} - {"word"} - inside
    assert named <= entries, named - entries


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)|!\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """`mkdocs build --strict` checks anchors as well, and that every page is in the navigation."""
    for groups in LINK.findall(page.read_text(encoding="utf-8")):
        target = groups[0] or groups[1]
        if "://" not in target:
            assert (page.parent / target).exists(), target
