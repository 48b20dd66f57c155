"""What findings are computed from: the stores and results in an experiment's folder. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.config import RunConfig, stored_run_config
from islands.errors import InputError
from islands.experiments.findings.archives import Archives, read_archives
from islands.experiments.findings.verdicts import Tested
from islands.experiments.items import Item, Items
from islands.store.location import is_store_folder
from islands.store.reader import StoreReader

EXPERIMENT = "experiment.json"
"""The settings of an experiment that is more than one run."""


@dataclass(frozen=True)
class Evidence:
    """The folder of an experiment, to be read only.

    Attributes:
        folder: the experiment's.
        config: its settings.
        parameters: of the pipeline's own schema, or None.
        others: experiments of the same report by the name of their pipeline; empty where there are none.
    """

    folder: Path
    config: RunConfig
    parameters: Any = None
    others: Mapping[str, Evidence] = field(default_factory=dict)

    def archives(self, variant: str = "") -> Archives:
        """Return what the runs of a variant found; without variants, those of the experiment."""
        return read_archives(StoreReader(self.folder / variant))

    def store(self, variant: str = "") -> StoreReader:
        """Return a variant's store."""
        return StoreReader(self.folder / variant)

    def items(self, stage: str) -> dict[str, Item]:
        """Return the items of a stage by name."""
        return Items(self.folder, stage).all()

    def item(self, stage: str, name: str) -> Item:
        """Return an item of a stage.

        Raises:
            InputError: the stage has not come to it.
        """
        found = self.items(stage).get(name)
        if found is None:
            raise InputError(
                f"{self.folder}: {name} of the stage {stage} is not done yet; launch the experiment again"
            )
        return found

    def arrays(self, stage: str, item: str) -> dict[str, npt.NDArray[np.generic]] | None:
        """Return the arrays of an item; None where none were kept with it, as by older versions."""
        try:
            return dict(Items(self.folder, stage).arrays(item))
        except FileNotFoundError:
            return None

    def tested(self, *networks: str) -> tuple[Tested, ...]:
        """Return how good networks are on real images, by their labels; without any, all that were tested."""
        found = self.items("test")
        return tuple(
            Tested(name, item["accuracy"], item["n"], item["data"])
            for name, item in found.items()
            if not networks or name in networks
        )

    def document(self, name: str) -> Any:
        """Return what is in a JSON file of the folder.

        Raises:
            InputError: it was not written yet.
        """
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise InputError(
                f"{self.folder}: {name} is not written yet; launch the experiment again"
            ) from None


def read_config(folder: Path) -> RunConfig:
    """Return the settings of the experiment in a folder.

    Raises:
        InputError: there is none.
    """
    described = folder / EXPERIMENT
    if described.is_file():
        return stored_run_config(json.loads(described.read_text(encoding="utf-8-sig")))
    if not is_store_folder(folder):
        raise InputError(
            f"{folder}: expected the folder of an experiment, found no {EXPERIMENT} and no store"
        )
    return StoreReader(folder).config
