"""The house: imports go one way, and what evolution is made of knows neither Ray nor the store."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import islands

PACKAGE = Path(islands.__file__).parent
FLOORS = (
    {"errors"},
    {"devices", "memory", "folders", "texts"},
    {"encodings"},
    {"classifiers"},
    {"evolution"},
    {"config"},
    {"migration"},
    {"archipelago", "store"},
    {"datasets", "observe", "results"},
    {"report", "deploy"},
    {"stages"},
    {"bench", "api"},
    {"cli"},
)
"""Each room imports from the floors below it alone; rooms of one floor do not know each other."""

EXPERIMENTS = "pipelines"
"""The experiments are data: rooms look them up by name, and they name stages."""

PURE = ("encodings", "classifiers", "evolution", "migration")


def imports(room: str) -> Iterator[tuple[str, str]]:
    """Yield each file of a room with the modules that it imports, those for type checkers left out."""
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").is_file() else (PACKAGE / room).rglob("*.py")
    for file in files:
        tree = ast.parse(file.read_text())
        typing = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if id(node) in typing:
                continue
            if isinstance(node, ast.ImportFrom) and node.module == "islands":
                yield from ((file.name, f"islands.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield file.name, node.module
            elif isinstance(node, ast.Import):
                yield from ((file.name, alias.name) for alias in node.names)


def test_every_room_has_a_floor() -> None:
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if path.suffix in ("", ".py")}
    assert rooms - {"__init__", "__main__", "__pycache__", "cluster", EXPERIMENTS} == set().union(*FLOORS)


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_go_down(floor: int) -> None:
    below = set().union(*FLOORS[:floor])
    for room in FLOORS[floor]:
        for file, module in imports(room):
            package, _, rest = module.partition(".")
            if package == "islands":
                assert rest.partition(".")[0] in below | {room, EXPERIMENTS}, (room, file, module)


@pytest.mark.parametrize("room", PURE)
def test_evolution_knows_neither_ray_nor_the_store(room: str) -> None:
    for file, module in imports(room):
        assert module.partition(".")[0] not in ("ray", "zarr", "icechunk"), (file, module)
