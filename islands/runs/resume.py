"""Goes on with runs: what `islands resume` calls."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from islands.archipelago.executor import Executor
from islands.archipelago.progress import Observe, observe_nothing
from islands.archipelago.start import build_executor
from islands.classifiers.contract import Classifier
from islands.config import NetworkConfig, RunConfig, stored_network_config
from islands.config.changes import changes_meaning, may_change, on_its_engines, require_same_meaning
from islands.config.own_code import own_code, require_same
from islands.config.resolve import override_run_config
from islands.errors import ConfigError, InputError, StoreExistsError
from islands.observe.lines import begin, say
from islands.observe.observers import observing
from islands.runs.conditions import note_conditions, of_scorers, of_workers
from islands.runs.evolve import evolve
from islands.runs.launch import launch, require_hosts, scorers_for, starting
from islands.runs.trust import described, is_trusted
from islands.store.creation import require_free
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from islands.texts import islands_command
from islands.training.digits import train_missing

_log = logging.getLogger(__name__)


def resume(
    store: str,
    overrides: Sequence[str] = (),
    observe: Observe = observe_nothing,
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
    require_same(reader.code, own_code(stored))
    for text in overrides:
        key = text.partition("=")[0].strip()
        if not may_change(key):
            raise changes_meaning(key)
    config = override_run_config(stored, overrides).model_copy(update={"store": store})
    require_same_meaning(stored, config)
    if _is_done(reader, config):
        raise InputError(
            f"{store} is complete at generation {stored.evolve.generations}; to go on, raise the budget: "
            + islands_command("resume", store, "--set", f"evolve.generations={2 * stored.evolve.generations}")
        )
    for network in (stored.network, *stored.held_out):
        if network in (config.network, *config.held_out) and not is_trusted(network):
            say(f"{store} names the network {described(network)}, which is loaded now: it is not of Islands")
    if at is not None:
        reader.require_intact()
    return _go_on(reader, config, observe, break_lock=break_lock, goes_back=at is not None)


def launch_or_resume(
    config: RunConfig, observe: Observe = observe_nothing, classifier: Classifier | None = None
) -> StoreReader:
    """Launch, or go on with what is in the store; what is complete is returned as it is.

    Args: as of `launch`.

    Raises:
        InputError: as of `launch` and `resume`.
        IslandsError: the run failed; the last commit stands.
    """
    try:
        require_free(config.store)
    except StoreExistsError:
        reader = StoreReader(config.store)
    else:
        return launch(config, observe, classifier)
    require_same(reader.code, own_code(config))
    require_same_meaning(reader.config, config)
    config = on_its_engines(reader.config, config)
    return reader if _is_done(reader, config) else _go_on(reader, config, observe, classifier)


def _is_done(reader: StoreReader, config: RunConfig) -> bool:
    spent = reader.complete and config.evolve.generations == reader.config.evolve.generations
    return spent and not lacks_scores(reader, config.held_out)


def _go_on(
    reader: StoreReader,
    config: RunConfig,
    observe: Observe,
    classifier: Classifier | None = None,
    *,
    break_lock: bool = False,
    goes_back: bool = False,
) -> StoreReader:
    require_hosts([config.network, *config.held_out])
    train_missing([config.network, *config.held_out])
    at = reader.session.snapshot_id if goes_back else None
    begin(starting(config))
    with (
        StoreWriter.open(config.store, break_lock=break_lock, at=at) as writer,
        closing(build_executor(config, classifier)) as executor,
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


def lacks_scores(reader: StoreReader, held_out: Sequence[NetworkConfig]) -> bool:
    """Tell whether an elite of the checkpoint was not scored on one of the networks."""
    stored = {
        stored_network_config(scores.settings).unlimited: scores.runs for scores in reader.intact_scores()
    }
    ids = [reader.elite_columns(run, "id")["id"] for run in range(reader.runs)]
    return any(
        network.unlimited not in stored
        or any(
            not np.array_equal(scores.ids, own)
            for scores, own in zip(stored[network.unlimited], ids, strict=True)
        )
        for network in held_out
    )


def _require_same_network(reader: StoreReader, executor: Executor) -> None:
    stored, found = reader.attributes["fingerprint"], executor.facts.fingerprint
    if stored != found:
        raise ConfigError(
            f"network.name: {reader.config.network.name} has fingerprint {found[:12]} here, but the run was "
            f"started with {stored[:12]}; resume with the same weights and versions"
        )
