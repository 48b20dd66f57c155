"""The stage that says how images of runs side by side transfer: pipelines with variants."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from islands.experiments.context import Context
from islands.runs.comparison import transfer_of
from islands.store.reader import StoreReader
from islands.transfers.measures import Transfer
from islands.transfers.tables import as_text, draw


def run(context: Context[Any]) -> None:
    """Compare the stores of the experiment's runs, unless that was done with what is in them now.

    The comparison lies in the experiment's folder as `transfer.json`, `.csv`, `.txt` and `.png`.
    """
    readers = [StoreReader(config.store) for config in context.runs.values()]
    if _snapshots(context.folder / "transfer.json") != [reader.session.snapshot_id for reader in readers]:
        _write(transfer_of(context.runs.values()), context.folder)


def _snapshots(file: Path) -> list[str]:
    """Return the checkpoints that a comparison was made of; none where there is no whole one."""
    try:
        return [source["snapshot"] for source in json.loads(file.read_text(encoding="utf-8-sig"))["sources"]]
    except (FileNotFoundError, ValueError):
        return []


def _write(found: Transfer, folder: Path) -> None:
    (folder / "transfer.txt").write_text(as_text(found) + "\n", encoding="utf-8")
    with (folder / "transfer.csv").open("w", newline="", encoding="utf-8") as file:
        rows = found.rows()
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(found, folder / "transfer.png")
    # Last: what says of which checkpoints the files are made.
    (folder / "transfer.json").write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
