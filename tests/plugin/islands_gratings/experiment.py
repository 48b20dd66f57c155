"""An experiment: waves evolve, and a stage counts what came of it."""

from __future__ import annotations

import json
from typing import Any

import islands


def count_elites(context: islands.Context[Any]) -> None:
    """Count the filled cells of each run."""
    stores = {name: context.evolve(config) for name, config in context.runs.items()}
    found = {
        name: sum(id_ >= 0 for id_ in reader.elite_columns(0, "id")["id"].tolist())
        for name, reader in stores.items()
    }
    (context.folder / "elites.json").write_text(json.dumps(found), encoding="utf-8")


PIPELINE: islands.Pipeline = islands.Pipeline(
    name="gratings",
    summary="do sine waves fool a network that tells blobs apart?",
    paper="",
    settings={
        "network": {"name": "blobs"},
        "encoding": {"name": "gratings", "waves": 3},
        "archive": {"measures": [{"name": "contrast", "bins": 2}]},
        "evolve": {
            "initial": 24,
            "children": 24,
            "generations": 60,
            "generations_per_epoch": 2,
            "parents": "rarest",
            "emitters": [{"name": "mutation"}, {"name": "swap", "share": 0.5}],
        },
        "islands": {
            "count": 4,
            "topology": "pairs",
            "migration": {"selection": "weakest", "replacement": "first"},
        },
    },
    stages=("evolve", "count-elites"),
)
