"""Notebooks: what is shown there, in one that is executed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import islands
from islands.errors import InputError
from islands.store.images import render_elite
from islands.store.reader import StoreReader

CHECKOUT = Path(__file__).parents[2]

CELLS = {
    "import": "import islands",
    "evolve": (
        "run = islands.evolve('linear-mnist', generations=40, evolve={'initial': 20, 'children': 20},"
        " store='digits')"
    ),
    "silent": "islands.evolve('linear-mnist', generations=10, progress=False); None",
    "run": "run",
    "elite": "run.elite(3)",
    "lineage": "run.elite(3).lineage()",
    "animate": "run.elite(3).animate()",
    "draw": "run.elite(3).draw(1024)",
    "sheet": "run.sheet(top=4, columns=2)",
    "plot": "run.plot('tree')",
    "compare": "run.compare(run.at(0))",
    "ids": "islands.open('ids').elite(3).lineage()",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each cell of an executed notebook shows: data by its type."""
    folder = tmp_path_factory.mktemp("notebook")
    islands.evolve(
        "linear-mnist",
        generations=20,
        evolve={"initial": 20, "children": 20},
        checkpoint={"ancestors": "ids"},
        store=folder / "ids",
    )
    setup = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})"
    cells = [nbformat.v4.new_code_cell(code) for code in (setup, *CELLS.values())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = {}
    for name, cell in zip(CELLS, notebook.cells[1:], strict=True):
        outputs[name] = {
            kind: data for output in cell.outputs for kind, data in output.get("data", {}).items()
        }
        assert not [output for output in cell.outputs if output.output_type == "stream"], name
    return outputs


pytestmark = pytest.mark.slow


def test_a_bar_shows_how_a_run_gets_on(shown: dict[str, dict[str, Any]]) -> None:
    said = shown["evolve"]["text/html"]
    assert '<progress value="40" max="40"' in said
    assert "generation 40 of 40, median " in said
    assert "of 10 classes at 90 %" in said
    assert shown["silent"] == {}


def test_a_run_is_a_sentence_and_a_sheet(shown: dict[str, dict[str, Any]]) -> None:
    said = shown["run"]["text/html"]
    assert "generation 40 of 40" in said
    assert said.count('<img src="data:image/png;base64,') == 1


def test_an_elite_has_a_caption(shown: dict[str, dict[str, Any]]) -> None:
    said = shown["elite"]["text/html"]
    assert "<figcaption" in said
    assert "3, " in said
    assert 'width="224"' in said
    assert "image/png" in shown["elite"]


def test_a_lineage_is_a_strip(shown: dict[str, dict[str, Any]]) -> None:
    strip = shown["lineage"]["text/html"]
    assert (
        strip.count("<figure") == strip.count("gen. ") // 2 >= 1
    )  # in the caption and for those who hear it
    assert "text/html" not in shown["ids"]
    assert "Ancestor(" in shown["ids"]["text/plain"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("draw", "image/png"), ("sheet", "image/png"), ("plot", "image/png"), ("compare", "image/png")),
        ("animate", "text/html"),
    ],
)
def test_pictures_are_shown(shown: dict[str, dict[str, Any]], name: str, kind: str) -> None:
    assert len(shown[name][kind]) > 1000


def test_a_name_that_is_html_is_shown_as_text(evolved: Path) -> None:
    run = islands.open(evolved)
    for text in (run.elite(1)._repr_html_(), run.elite(1).lineage()._repr_html_(), run._repr_html_()):
        assert text is not None
        assert "<img src=x" not in text
    assert "&lt;img src=x" in run.elite(1)._repr_html_()


def test_drawn_is_what_was_scored(evolved: Path, tmp_path: Path) -> None:
    elite = islands.open(evolved).elite("lion", 1)
    picture = render_elite(StoreReader(evolved), 9, 1)
    np.testing.assert_array_equal(np.asarray(elite.draw()), picture[:, :, 0])
    assert elite.draw(300).size == (300, 300)
    elite.animate(56).save(tmp_path / "lion.gif")
    with Image.open(tmp_path / "lion.gif") as image:
        assert image.size == (224, 244)


def test_a_figure_that_is_not_there_is_told(evolved: Path) -> None:
    with pytest.raises(InputError, match="no figure is called 'pie'"):
        islands.open(evolved).plot("pie")


def test_names_of_pictures_import_nothing_until_one_is_drawn(evolved: Path) -> None:
    code = (
        "import sys, islands; run = islands.open(sys.argv[1]); run.elite(3); repr(run);"
        "print(sorted({'torch', 'ray', 'matplotlib', 'PIL'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", code, str(evolved)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
