"""Starts and resumes runs: what `islands launch` and `resume` call."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from islands.archipelago.driver import Progress
from islands.archipelago.executor import Executor
from islands.archipelago.factory import build_executor, build_scorers
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scorers import Scorers
from islands.classifiers.catalogue import class_count
from islands.config import NetworkConfig, RunConfig
from islands.config.changes import changes_meaning, may_change, require_same_meaning
from islands.config.files import override_run_config
from islands.errors import ConfigError, InputError, StoreExistsError
from islands.migration.slices import class_slices
from islands.observe.observers import observing
from islands.stages.evolve import Observe, evolve
from islands.stages.train import train_missing
from islands.stages.trust import is_trusted, shown
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter, require_free

_log = logging.getLogger(__name__)


def say(text: str) -> None:
    """Print a line of progress."""
    print(text, file=sys.stderr, flush=True)


def ignore(progress: Progress) -> None:
    """Observe nothing."""


def launch(config: RunConfig, observe: Observe = ignore) -> StoreReader:
    """Make a store, evolve until the budget is spent or a signal comes, and return the store.

    Raises:
        InputError: the store exists, or configuration, network and machine do not fit; nothing was written.
        IslandsError: the run failed; the last commit stands.
    """
    require_fit(config)
    require_free(config.store)
    train_missing([config.network, *config.held_out])
    with closing(build_executor(config)) as executor:
        return run_in_store(config, executor, observe)


def run_in_store(config: RunConfig, executor: Executor, observe: Observe) -> StoreReader:
    """Make the store, evolve on `executor`, and return the store; see `launch`."""
    facts = executor.facts
    class_slices(len(facts.classes), config.islands.count)
    with (
        scorers_for(config, facts) as scorers,
        StoreWriter.create(
            config.store,
            config,
            facts.classes,
            facts.fingerprint,
            channels=facts.channels,
            size=facts.size,
        ) as writer,
        observing(config, observe) as tell,
    ):
        found = {**of_workers(config, facts), **of_scorers(config, scorers)}
        writer.set_conditions([{"epoch": 0, **found}])
        evolve(config, writer, executor, tell, scorers)
    return StoreReader(config.store)


def resume(
    store: str,
    overrides: Sequence[str] = (),
    observe: Observe = ignore,
    *,
    break_lock: bool = False,
    at: str | None = None,
) -> StoreReader:
    """Go on from the last commit of `store` or from an earlier one, and return the store.

    Args:
        store: where it is.
        overrides: `key=value` on top of the stored configuration, of the keys in `MAY_CHANGE`.
        observe: called about once an epoch.
        break_lock: see `StoreWriter.open`.
        at: the epoch, tag or id of the checkpoint from which to go on; None: the latest. What came after it
            is kept under a tag, see `StoreWriter.open`.

    Raises:
        InputError: the store cannot be resumed so; nothing was written.
        IslandsError: the run failed; the last commit stands.
    """
    reader = StoreReader(store, at)
    stored = reader.config
    for text in overrides:
        key = text.partition("=")[0].strip()
        if not may_change(key):
            raise changes_meaning(key)
    config = override_run_config(stored, overrides).model_copy(update={"store": store})
    require_same_meaning(stored, config)
    if _is_done(reader, config):
        raise InputError(
            f"{store} is complete at generation {stored.evolve.generations}; to go on, raise the budget: "
            f"islands resume {store} --set evolve.generations={2 * stored.evolve.generations}"
        )
    for network in (stored.network, *stored.held_out):
        if network in (config.network, *config.held_out) and not is_trusted(network):
            say(f"{store} names the network {shown(network)}, which is loaded now: it is not of Islands")
    if at is not None:
        reader.require_intact()
    return _go_on(reader, config, observe, break_lock=break_lock, goes_back=at is not None)


def launch_or_resume(config: RunConfig, observe: Observe = ignore) -> StoreReader:
    """Launch, or go on with what is in the store; what is complete is returned as it is.

    Raises:
        InputError: as of `launch` and `resume`.
        IslandsError: the run failed; the last commit stands.
    """
    try:
        require_free(config.store)
    except StoreExistsError:
        reader = StoreReader(config.store)
    else:
        return launch(config, observe)
    require_same_meaning(reader.config, config)
    return reader if _is_done(reader, config) else _go_on(reader, config, observe)


def _is_done(reader: StoreReader, config: RunConfig) -> bool:
    spent = reader.complete and config.evolve.generations == reader.config.evolve.generations
    return spent and not lacks_scores(reader, config.held_out)


def _go_on(
    reader: StoreReader,
    config: RunConfig,
    observe: Observe,
    *,
    break_lock: bool = False,
    goes_back: bool = False,
) -> StoreReader:
    train_missing([config.network, *config.held_out])
    at = reader.session.snapshot_id if goes_back else None
    with (
        StoreWriter.open(config.store, break_lock=break_lock, at=at) as writer,
        closing(build_executor(config)) as executor,
        scorers_for(config, executor.facts) as scorers,
    ):
        _require_same_network(reader, executor)
        writer.set_config(config)
        evolves = reader.epoch is None or reader.epoch < config.evolve.epochs
        found = of_workers(config, executor.facts) if evolves else {}
        changes = note_conditions(reader, writer, {**found, **of_scorers(config, scorers)})
        with observing(config, observe) as tell:
            for line in changes:
                say(line)
                _log.warning(line)
            evolve(config, writer, executor, tell, scorers)
    return StoreReader(config.store)


def of_workers(config: RunConfig, facts: NetworkFacts) -> dict[str, Any]:
    """Return what the bits of evolution depend on beside the configuration's own meaning."""
    return {"threads": config.workers.threads, **facts.conditions}


def of_scorers(config: RunConfig, scorers: Scorers | None) -> dict[str, Any]:
    """Return the same of the scores of held-out networks; nothing where there are none."""
    if scorers is None:
        return {}
    device = scorers.facts[0].conditions.get("device")
    return {"scorers.threads": config.scorers.threads, "scorers.device": device}


def note_conditions(reader: StoreReader, writer: StoreWriter, found: Mapping[str, Any]) -> list[str]:
    """Let the next commit store what bits depend on from the next epoch on; return a line for each change."""
    *before, last = reader.conditions
    epoch = 0 if reader.epoch is None else reader.epoch + 1
    changed = {key: value for key, value in found.items() if key in last and last[key] != value}
    new = {**last, **found}
    if changed and epoch > last["epoch"]:
        writer.set_conditions([*before, last, {**new, "epoch": epoch}])
    elif new != last:
        writer.set_conditions([*before, new])
    return [
        f"from epoch {epoch} on, {key} is {value}, where it was {last[key]}: float sums depend on it, so "
        "results may differ in bits from those of an undisturbed run"
        for key, value in changed.items()
    ]


@contextmanager
def scorers_for(config: RunConfig, source: NetworkFacts) -> Iterator[Scorers | None]:
    """Give the scorers of a configuration, and stop them in the end; see `build_scorers`."""
    scorers = build_scorers(config, source)
    try:
        yield scorers
    finally:
        if scorers is not None:
            scorers.close()


def lacks_scores(reader: StoreReader, held_out: Sequence[NetworkConfig]) -> bool:
    """Tell whether an elite of the checkpoint was not scored on one of the networks."""
    stored = {NetworkConfig.model_validate(scores.settings): scores.runs for scores in reader.intact_scores()}
    ids = [reader.elite_columns(run, "id")["id"] for run in range(reader.runs)]
    return any(
        network not in stored
        or any(not np.array_equal(scores.ids, own) for scores, own in zip(stored[network], ids, strict=True))
        for network in held_out
    )


def require_fit(config: RunConfig) -> None:
    """Check against the catalogue what needs no worker."""
    if (count := class_count(config.network.name)) is not None:
        class_slices(count, config.islands.count)


def _require_same_network(reader: StoreReader, executor: Executor) -> None:
    stored, found = reader.attributes["fingerprint"], executor.facts.fingerprint
    if stored != found:
        raise ConfigError(
            f"network.name: {reader.config.network.name} has fingerprint {found[:12]} here, but the run was "
            f"started with {stored[:12]}; resume with the same weights and versions"
        )
