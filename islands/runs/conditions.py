"""What the bits of a run depend on beside its configuration: a resume that changes it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scorers import Scorers
from islands.classifiers.apart import ENGINE_REASON
from islands.classifiers.engines import TORCH
from islands.config import WorkConfig
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter

_OF_BEFORE = {"engine": TORCH, "scorers.engine": TORCH}
"""What is not stored where there was nothing else yet."""


def engine_of(conditions: Mapping[str, Any]) -> str:
    """Return in words what runs a network, and why."""
    if "engine" not in conditions:
        return "the network's own"
    return f"{conditions['engine']}: {conditions[ENGINE_REASON]}"


def of_workers(config: WorkConfig, facts: NetworkFacts) -> dict[str, Any]:
    """Return what the bits of evolution depend on beside the configuration's own meaning."""
    return {"threads": config.workers.threads, **facts.conditions}


def of_scorers(config: WorkConfig, scorers: Scorers | None) -> dict[str, Any]:
    """Return the same of the scores of held-out networks; nothing where there are none."""
    if scorers is None:
        return {}
    first = scorers.facts[0].conditions
    engines = [facts.conditions["engine"] for facts in scorers.facts if "engine" in facts.conditions]
    found = {"scorers.threads": config.scorers.threads, "scorers.device": first.get("device")}
    return {**found, "scorers.engine": " + ".join(dict.fromkeys(engines))} if engines else found


def unlike_stored(reader: StoreReader, found: Mapping[str, Any]) -> list[str]:
    """Return a line for each condition that is other here than it was when a run last went on."""
    stored = {**_OF_BEFORE, **reader.conditions[-1]}
    return [
        f"{key} is {value}, where it was {stored[key]}"
        for key, value in found.items()
        if key != ENGINE_REASON and stored.get(key, value) != value
    ]


def note_conditions(reader: StoreReader, writer: StoreWriter, found: Mapping[str, Any]) -> list[str]:
    """Let the next commit store what bits depend on from the next epoch on; return a line for each change."""
    *before, last = reader.conditions
    epoch = 0 if reader.epoch is None else reader.epoch + 1
    known = {**_OF_BEFORE, **last}
    changed = {
        key: value for key, value in found.items() if key != ENGINE_REASON and known.get(key, value) != value
    }
    new = {**last, **found}
    if changed and epoch > last["epoch"]:
        writer.set_conditions([*before, last, {**new, "epoch": epoch}])
    elif new != last:
        writer.set_conditions([*before, new])
    return [
        f"from epoch {epoch} on, {key} is {value}, where it was {known[key]}: float sums depend on it, so "
        "results may differ in bits from those of an undisturbed run"
        for key, value in changed.items()
    ]
