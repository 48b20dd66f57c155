"""Starts and resumes runs: what `islands launch` and `resume` call."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from islands.archipelago.executor import Executor
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.progress import Observe, observe_nothing
from islands.archipelago.scorers import Scorers
from islands.archipelago.start import build_executor, build_scorers
from islands.classifiers.catalogue import class_count, served_parts
from islands.classifiers.contract import Classifier
from islands.classifiers.hosts import require_allowed, served_name
from islands.config import NetworkConfig, RunConfig, WorkConfig
from islands.migration.slices import class_slices
from islands.observe.lines import begin
from islands.observe.observers import observing
from islands.runs.conditions import of_scorers, of_workers
from islands.runs.evolve import evolve
from islands.store.creation import require_free
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter, remove_if_empty
from islands.training.digits import train_missing

_log = logging.getLogger(__name__)


def launch(
    config: RunConfig, observe: Observe = observe_nothing, classifier: Classifier | None = None
) -> StoreReader:
    """Make a store, evolve until the budget is spent or a signal comes, and return the store.

    Args:
        config: of the run.
        observe: called about once an epoch.
        classifier: that this process alone has, in place of the network that is named.

    Raises:
        InputError: the store exists, or configuration, network and machine do not fit; nothing was written.
        IslandsError: the run failed; the last commit stands.
    """
    if classifier is None:
        require_fit(config)
    require_free(config.store)
    train_missing([config.network, *config.held_out])
    begin(starting(config))
    with closing(build_executor(config, classifier)) as executor:
        return run_in_store(config, executor, observe)


def run_in_store(config: RunConfig, executor: Executor, observe: Observe) -> StoreReader:
    """Make the store, evolve on `executor`, and return the store; see `launch`."""
    facts = executor.facts
    class_slices(len(facts.classes), config.islands.count)
    try:
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
    except KeyboardInterrupt:
        remove_if_empty(config.store)
        raise
    return StoreReader(config.store)


@contextmanager
def scorers_for(config: RunConfig, source: NetworkFacts) -> Iterator[Scorers | None]:
    """Give the scorers of a configuration, and stop them in the end; see `build_scorers`."""
    if config.held_out:
        begin(f"loading {', '.join(network.label for network in config.held_out)}")
    scorers = build_scorers(config, source)
    try:
        yield scorers
    finally:
        if scorers is not None:
            scorers.close()


def starting(config: WorkConfig) -> str:
    """Return what it is called to start the workers."""
    count, on_ray = config.workers.count, config.workers.executor == "ray"
    workers = f" on {count} worker{'s' if count > 1 else ''} of Ray" if on_ray else ""
    return f"loading {config.network.label}{workers}"


def require_hosts(networks: Iterable[NetworkConfig]) -> None:
    """Check that the servers of served networks may be asked.

    Raises:
        NetworkError: one may not.
    """
    for network in networks:
        for part in served_parts(network.name):
            require_allowed(part, served_name(part))


def require_fit(config: WorkConfig) -> None:
    """Check against the catalogue what needs no worker."""
    require_hosts([config.network, *config.held_out])
    if (count := class_count(config.network.name)) is not None:
        class_slices(count, config.islands.count)
