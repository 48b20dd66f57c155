"""Tutorials run from top to bottom with a small budget, and their pages have their code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jupytext
import pytest

from tests.docs.pages import DOCS, ROOT, blocks

SOURCES = sorted((DOCS / "tutorials").glob("*.py"))


def cells_of(source: Path) -> list[Any]:
    cells: list[Any] = jupytext.read(source).cells
    return cells


def small(cell: Any) -> dict[str, Any]:
    """Return what a cell of parameters is set to here: its own `small`."""
    value = cell.metadata.get("small", {})
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else dict(value)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_it_runs(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cluster", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ISLANDS_TRUST_CODE", "")  # as it is afterwards, whatever a tutorial sets
    names: dict[str, Any] = {"__name__": "tutorial"}
    for number, cell in enumerate(cells_of(source)):
        if cell.cell_type == "code":
            exec(compile(cell.source, f"{source.name}, cell {number}", "exec"), names)
            names |= small(cell)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_its_page_has_its_code_and_its_text(source: Path) -> None:
    """`python -m docs.tutorial_pages NAME` writes the page."""
    page = source.with_suffix(".md")
    cells = cells_of(source)
    code = [block.text.rstrip() for block in blocks(page) if block.language == "python"]
    assert code == [cell.source for cell in cells if cell.cell_type == "code"]
    text = page.read_text(encoding="utf-8")
    assert all(cell.source in text for cell in cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_its_budget_can_be_small(source: Path) -> None:
    (parameters,) = [cell for cell in cells_of(source) if "parameters" in cell.metadata.get("tags", [])]
    names: dict[str, Any] = {}
    exec(parameters.source, names)
    assert small(parameters)
    assert small(parameters).keys() <= names.keys()
