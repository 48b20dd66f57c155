"""A run that others score: its configuration, the mail between its islands, and its store."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from islands.archipelago.messages import NetworkFacts, StepResult
from islands.archipelago.mirror import RunMirror
from islands.classifiers.catalogue import OWN_LOOP
from islands.config import RunConfig
from islands.config.written import expand_path
from islands.errors import InputError, StoreError
from islands.evolution import records
from islands.evolution.checkpoint import Checkpoint, RunCheckpoint
from islands.experiments.configure import resolve_run_config
from islands.results import Results
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter

HELD = 100
"""Epochs whose changes are held one by one; more are put together, so that memory does not grow with time."""


def run_config(source: str, **sections: Any) -> RunConfig:
    """Return the configuration of a run without a store.

    Args:
        source: what errors call the settings.
        **sections: as in a configuration file.

    Raises:
        ConfigError: with a line for each mistake.
    """
    unsaved = {"pipeline": "custom", "store": "unsaved", "workers": {"executor": "in-process"}}
    return resolve_run_config({**unsaved, **sections}, source)


def named(encoding: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return an encoding as a configuration file has it."""
    return {"name": encoding} if isinstance(encoding, str) else dict(encoding)


def open_reader(store: str | os.PathLike[str]) -> StoreReader:
    """Open the store of a run that others score.

    Raises:
        InputError: a network scored it.
        StoreError: there is none, or it cannot be read.
    """
    reader = StoreReader(_place(store))
    if not reader.config.network.name.startswith(OWN_LOOP):
        raise InputError(
            f"{reader.path} was scored by the network {reader.config.network.name}; expected a store that "
            "`Archipelago.save` made: `islands.resume` goes on with this one"
        )
    return reader


def _place(store: str | os.PathLike[str]) -> str:
    return expand_path(store) if isinstance(store, str) else os.fspath(store)


class Keeper:
    """Keeps one run in memory, and its checkpoints in a store if asked to."""

    def __init__(self, config: RunConfig, facts: NetworkFacts) -> None:
        self._config = config
        self._facts = facts
        self._unsaved: RunCheckpoint | None = None
        self._saved: tuple[str, int] | None = None
        """Where the last checkpoint went, and its epoch."""
        self.mirror = RunMirror(0, config.evolution, len(facts.classes))

    def record(self, results: Sequence[StepResult]) -> None:
        """Take note of an epoch of all islands, in their order."""
        for island, result in enumerate(results):
            self.mirror.record(island, result)
        if self.mirror.epoch % HELD == HELD - 1:
            self._cut()

    def restore(self, reader: StoreReader) -> None:
        """Go on from the checkpoint of a store, if it has one, and save the next ones there."""
        if (checkpoint := reader.checkpoint()) is not None:
            self.mirror.restore(checkpoint.epoch, checkpoint.runs[0])
            self._saved = str(reader.path), checkpoint.epoch

    def save(self, store: str | os.PathLike[str]) -> Results:
        """Write what is new as a checkpoint, and open the store.

        Raises:
            InputError: there is nothing yet, or the checkpoints before went elsewhere.
            StoreError: the store exists, or cannot be written.
        """
        place, epoch = _place(store), self.mirror.epoch
        if epoch < 0:
            raise InputError("save: got no scores yet; expected those of the first images: tell them first")
        if self._saved is not None and self._saved[0] != place:
            raise InputError(f"save: got {place}; expected {self._saved[0]}, which has all that is older")
        if self._saved != (place, epoch):
            self._commit(place, epoch)
        return Results(place)

    def _commit(self, place: str, epoch: int) -> None:
        evolve = self._config.evolve
        # What was done so far is all that is known of the budget.
        spent = max(epoch, 1) * evolve.generations_per_epoch
        evolve = evolve.model_copy(update={"generations": spent})
        config = self._config.model_copy(update={"store": place, "evolve": evolve})
        checkpoint = Checkpoint(epoch, (self._cut(),))
        with self._writer(place, config) as writer:
            writer.set_config(config)
            writer.commit(checkpoint, complete=False)
        self._unsaved, self._saved = None, (place, epoch)

    def _writer(self, place: str, config: RunConfig) -> AbstractContextManager[StoreWriter]:
        facts = self._facts
        if self._saved is None:
            writer = StoreWriter.create(
                place, config, facts.classes, facts.fingerprint, channels=facts.channels, size=facts.size
            )
            writer.set_conditions([{"epoch": 0, **facts.conditions}])
            return writer
        writer = StoreWriter.open(place)
        found = Results(place).epoch
        if found != self._saved[1]:
            writer.close()
            raise StoreError(f"{place} is at epoch {found}; expected {self._saved[1]}: save nowhere else")
        return writer

    def _cut(self) -> RunCheckpoint:
        """Put together what has come since the last checkpoint."""
        new = self.mirror.cut(self.mirror.epoch)
        self._unsaved = new if self._unsaved is None else _together(self._unsaved, new)
        return self._unsaved


def _together(first: RunCheckpoint, then: RunCheckpoint) -> RunCheckpoint:
    """Return the later of two checkpoints as if the earlier had not been."""
    return replace(
        then,
        changed=first.changed | then.changed,
        history=records.stack([first.history, then.history]),
        migrations=records.stack([first.migrations, then.migrations]),
        curves=np.concatenate([first.curves, then.curves]),
    )
