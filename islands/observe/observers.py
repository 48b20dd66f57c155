"""Everything that watches a run, put together as its configuration says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from islands.archipelago.driver import Progress
from islands.config import RunConfig
from islands.observe.journal import journal
from islands.observe.loggers import LOGGERS
from islands.observe.metrics import ray_metrics

Observe = Callable[[Progress], None]


@contextmanager
def observing(config: RunConfig, observe: Observe) -> Iterator[Observe]:
    """Give a function that shows progress to `observe` and to all that the configuration names.

    Raises:
        ConfigError: a logger's library is not installed.
    """
    with ExitStack() as stack:
        stack.enter_context(journal(config))
        watchers: list[Observe] = [observe]
        for name, open_logger in LOGGERS.items():
            if (target := getattr(config.loggers, name)) is not None:
                watchers.append(stack.enter_context(open_logger(target, config)))
        if config.workers.executor == "ray":
            watchers.append(ray_metrics(config))

        def tell(progress: Progress) -> None:
            for watch in watchers:
                watch(progress)

        yield tell
