"""Runs side by side, each in its own store, and how their images transfer: pipelines with variants."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from islands.config import RunConfig
from islands.config_file import variants_of
from islands.report.transfer import Transfer
from islands.report.transfer_table import as_text, draw
from islands.stages.evolve import Observe
from islands.stages.launch import ignore, launch_or_resume
from islands.stages.transfer import CONTROLS, transfer
from islands.store.location import Location


def compare(config: RunConfig, observe: Observe = ignore, *, controls: int = CONTROLS) -> Transfer | None:
    """Evolve every variant that is not complete yet, score it, and compare; None where a signal stops it.

    The folder `config.store` holds a store for each variant, and the comparison as `transfer.json`, `.csv`,
    `.txt` and `.png`.

    Raises:
        InputError: a store there was made with other settings, the folder is in a bucket, or something does
            not fit.
        IslandsError: a run failed; what was committed stands.
    """
    folder = Location.of(config.store).path
    variants = variants_of(config).values()
    for variant in variants:
        if not launch_or_resume(variant, observe).complete:
            return None
    found = transfer([variant.store for variant in variants], controls=controls)
    _write(found, folder)
    return found


def _write(found: Transfer, folder: Path) -> None:
    (folder / "transfer.json").write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    (folder / "transfer.txt").write_text(as_text(found) + "\n", encoding="utf-8")
    with (folder / "transfer.csv").open("w", newline="", encoding="utf-8") as file:
        rows = found.rows()
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(found, folder / "transfer.png")
