"""The house: what each floor may know. `ARCHITECTURE.md` draws it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    {"errors"},
    {"devices", "memory", "folders", "texts", "files"},
    {"extensions"},
    {"encodings"},
    {"classifiers"},
    {"evolution"},
    {"search", "migration", "measures"},
    {"config"},
    {"archipelago", "store"},
    {"datasets", "observe", "transfers"},
    {"training"},
    {"runs"},
    {"reports"},
    {"results"},
    {"experiments"},
    {"pipelines", "cards"},
    {"deploy", "bench", "api", "asking", "testing"},
    {"cli", "ribs"},
    {"docs"},
)
"""Each room imports from the floors below it alone; rooms of one floor do not know each other.

Imports within functions and for type checkers count as others do. `pipelines` lies at the top of the
repository, as the experiments are data; `experiments.catalogue` finds them by name.
"""

PUBLIC = {
    "__init__": {
        *(
            "api",
            "archipelago",
            "asking",
            "classifiers",
            "config",
            "encodings",
            "errors",
            "experiments",
            "measures",
            "migration",
        ),
        *("results", "search"),
    },
    "__main__": {"cli"},
}
"""What the package's own two files hand on."""

PURE = ("encodings", "classifiers", "evolution", "search", "migration", "measures")

WITHOUT = {
    "config": ("torch", "ray", "zarr", "icechunk"),
    "transfers": ("torch", "ray", "zarr", "icechunk"),
    **dict.fromkeys(PURE, ("ray", "zarr", "icechunk")),
}
"""Libraries that rooms do without."""

OF_TWO_ROOMS = {
    "catalogue.py": "what there is of a room's own kind, by name",
    "contract.py": "the protocol of a room's own kind",
    "label_only.py": "an experiment, and the stage that it is",
    "real_images.py": "an experiment, and the stage that it is",
    "repetition.py": "an experiment, and the stage that it is",
}
"""Files of different rooms that share a name, and why they may."""

FILES = [
    file
    for folder in ("islands", "pipelines", "tests", "docs", "cluster")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if (ROOT / "islands" / "pipelines") not in file.parents
]


def room_of(file: Path) -> str:
    """Return the room of a file, or `tests`."""
    parts = file.relative_to(ROOT).parts
    return parts[1].removesuffix(".py") if parts[0] == "islands" else parts[0]


def imports(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_room_has_a_floor() -> None:
    assert {room_of(file) for file in FILES} - {"tests", *PUBLIC} == set().union(*FLOORS)


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_imports_go_down(floor: int) -> None:
    below = set().union(*FLOORS[:floor])
    for file in FILES:
        room = room_of(file)
        if room in FLOORS[floor]:
            known = {module.split(".")[1] for module in imports(file) if module.startswith("islands.")}
            assert known <= below | {room}, (file, known)


def test_nobody_imports_the_tests_or_what_users_may_shadow() -> None:
    for file in FILES:
        if room_of(file) != "tests":
            tops = {module.partition(".")[0] for module in imports(file)}
            assert not tops & {"tests", "pipelines", "cluster"}, file


def test_the_package_hands_on_its_interface_alone() -> None:
    for name, known in PUBLIC.items():
        modules = imports(ROOT / "islands" / f"{name}.py")
        assert {module.split(".")[1] for module in modules if module.startswith("islands.")} == known


def test_no_two_files_import_each_other() -> None:
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in FILES}
    modules |= {name.replace("pipelines.", "islands.pipelines.", 1): file for name, file in modules.items()}
    known = {
        name: {other for found in imports(file) for other in (found, found.rpartition(".")[0])}
        & modules.keys()
        for name, file in modules.items()
    }
    assert not [
        (name, other) for name in known for other in known[name] if name != other and name in known[other]
    ]


@pytest.mark.parametrize("room", WITHOUT)
def test_what_a_room_does_without(room: str) -> None:
    for file in FILES:
        if room_of(file) == room:
            tops = {module.partition(".")[0] for module in imports(file)}
            assert not tops & set(WITHOUT[room]), file


def test_files_of_different_rooms_have_different_names() -> None:
    rooms = defaultdict(set)
    for file in FILES:
        if room_of(file) != "tests" and file.name != "__init__.py":
            rooms[file.name].add(room_of(file))
    assert {name for name, found in rooms.items() if len(found) > 1} == OF_TWO_ROOMS.keys()
    architecture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in architecture for name in OF_TWO_ROOMS)
