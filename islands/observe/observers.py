"""Everything that watches a run, put together as its configuration says."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from islands.archipelago.progress import Observe, Progress
from islands.config import RunConfig
from islands.config.logger_settings import LoggerSettings
from islands.errors import ConfigError
from islands.extensions.foreign import told
from islands.observe.journal import journal
from islands.observe.metrics import ray_metrics

_log = logging.getLogger(__name__)


@contextmanager
def observing(config: RunConfig, observe: Observe) -> Iterator[Observe]:
    """Give a function that shows progress to `observe` and to all that the configuration names.

    Raises:
        ConfigError: a logger's library is not installed.
    """
    with ExitStack() as stack:
        stack.enter_context(journal(config))
        watchers: list[Observe] = [observe]
        for logger in config.loggers.all:
            watchers.append(stack.enter_context(_harmless(logger, config)))
        if config.workers.executor == "ray":
            watchers.append(_unless_it_failed("Ray's metrics", ray_metrics(config)))

        def tell(progress: Progress) -> None:
            for watch in watchers:
                watch(progress)

        yield tell


@contextmanager
def _harmless(settings: LoggerSettings, config: RunConfig) -> Iterator[Observe]:
    """Open a logger that ends no run, whatever becomes of it then: a server may go away."""
    name = settings.name
    with told(f"loggers: {name} could not be opened:", "mend that, or leave it out", ConfigError):
        logger = settings.open(config)
        observe = logger.__enter__()
    try:
        yield _unless_it_failed(name, observe)
    finally:
        try:
            logger.__exit__(*sys.exc_info())
        except Exception as error:
            _log.warning("%s could not be closed: %s", name, error)


def _unless_it_failed(name: str, observe: Observe) -> Observe:
    """Return an observer that is not asked again once it has failed."""
    failed = False

    def watch(progress: Progress) -> None:
        nonlocal failed
        if failed:
            return
        try:
            observe(progress)
        except Exception as error:
            failed = True
            _log.warning("%s is told no more: %s", name, error)

    return watch
