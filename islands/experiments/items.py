"""Finished items of stages: a JSON file each, written whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from islands.errors import StoreDamagedError, StoreError
from islands.files import write_whole, write_whole_by

Item = dict[str, Any]
"""What JSON can hold, by name."""

FOLDER = "results"


class Items:
    """The items of one stage of an experiment.

    An item is a JSON object; arrays go beside it into an `.npz`, which is written first. Killed at any time,
    an item is there as a whole or not at all.

    Args:
        experiment: the folder of the experiment.
        stage: the name of the stage.
    """

    def __init__(self, experiment: Path | str, stage: str) -> None:
        self.folder = Path(experiment) / FOLDER / stage

    def once(self, item: str, make: Callable[[], Mapping[str, Any]]) -> Item:
        """Return what is kept under `item`; where nothing is, make it and keep it."""
        found = self.get(item)
        if found is None:
            self.keep(item, make())
            found = self.get(item)
            assert found is not None
        return found

    def get(self, item: str) -> Item | None:
        """Return what is kept under `item`; None where nothing is.

        Raises:
            StoreDamagedError: the file is damaged.
        """
        path = self._path(item, ".json")
        try:
            return dict(json.loads(path.read_text(encoding="utf-8-sig")))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise StoreDamagedError(f"{path} is damaged ({error}); remove it and run again") from None

    def keep(
        self, item: str, value: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]] | None = None
    ) -> None:
        """Write an item, with the arrays that belong to it.

        Raises:
            StoreError: it could not be written; of what was there before, nothing is lost.
        """
        text = json.dumps({**value, "item": item}, indent=1, allow_nan=False)
        try:
            if arrays is not None:
                write_whole_by(
                    self._path(item, ".npz"), lambda file: np.savez(file, allow_pickle=False, **arrays)
                )
            write_whole(self._path(item, ".json"), f"{text}\n")
        except OSError as error:
            raise StoreError(
                f"{self.folder} cannot be written ({error}); make room, and run the same command again: "
                "what is finished is kept"
            ) from error

    def arrays(self, item: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that were kept with an item."""
        with np.load(self._path(item, ".npz"), allow_pickle=False) as file:
            return dict(file)

    def all(self) -> dict[str, Item]:
        """Return every item by its name, sorted."""
        found = [json.loads(path.read_text(encoding="utf-8-sig")) for path in self.folder.glob("*.json")]
        return {each["item"]: each for each in sorted(found, key=lambda each: str(each["item"]))}

    def _path(self, item: str, ending: str) -> Path:
        return self.folder / f"{re.sub(r'[^A-Za-z0-9._=-]+', '-', item)}{ending}"
