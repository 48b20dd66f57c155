"""Runs the tutorials and writes their pages: text, code, and what came out.

python -m docs.tutorial_pages [NAME...]
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]

FOLDER = Path(__file__).parent / "tutorials"

SOURCES = sorted(FOLDER.glob("*.py"))


def page(source: Path, notebook: Any) -> str:
    """Return the page of a notebook that was run, and write its pictures beside it."""
    parts = [f"<!-- Written by `python -m docs.tutorial_pages` from {source.name}; do not edit. -->\n"]
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        parts += _outputs(cell, f"{source.stem}-{number}.webp")
    parts.append(f"---\n\n*This page as a script, in jupytext's format: [{source.name}]({source.name}).*")
    return "\n\n".join(parts) + "\n"


def _outputs(cell: Any, picture: str) -> Iterator[str]:
    """Yield what a cell printed and showed."""
    printed = "".join(
        each.text for each in cell.outputs if each.output_type == "stream" and each.name == "stdout"
    )
    if printed.strip():
        yield f"```text\n{printed.rstrip()}\n```"
    for each in cell.outputs:
        data = each.get("data", {})
        if "image/png" in data:
            with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as image:
                image.convert("RGB").save(FOLDER / picture, quality=82, method=6)  # a sixth of a PNG of noise
            yield f"![What the cell shows]({picture})"
        elif each.output_type == "execute_result":
            yield f"```text\n{data['text/plain']}\n```"


def run(source: Path) -> Any:
    """Run a tutorial in a folder that has what a checkout has, and return its notebook with outputs."""
    notebook = jupytext.read(source)
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("cluster", "pipelines"):
            (Path(scratch) / name).symlink_to(ROOT / name)
        if (ROOT / "runs/imagenet-cppn").is_dir():  # eleven minutes that need not be spent again
            (Path(scratch) / "runs").mkdir()
            (Path(scratch) / "runs/imagenet-cppn").symlink_to(ROOT / "runs/imagenet-cppn")
        os.environ["PYTHONPATH"] = str(ROOT)
        NotebookClient(
            notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": scratch}}
        ).execute()
    return notebook


if __name__ == "__main__":
    for source in SOURCES:
        if not sys.argv[1:] or source.stem in sys.argv[1:]:
            source.with_suffix(".md").write_text(page(source, run(source)), encoding="utf-8")
            print(f"wrote {source.with_suffix('.md')}")
