"""A log for programs: a line of JSON for each event, with run, island and epoch where it has them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from islands.config import RunConfig
from islands.store.location import Location

FILE = "log.jsonl"
FIELDS = ("run", "island", "epoch", "seconds")
"""What an event may carry beside time, level and text, by the `extra` of its log call."""


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        return json.dumps(event)


@contextmanager
def journal(config: RunConfig) -> Iterator[None]:
    """Write what `islands` logs to `loggers.journal`, or to a file within a store on a disk."""
    file = _file(config)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("islands")
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonLines())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(config.loggers.level.upper())
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def _file(config: RunConfig) -> Path | None:
    if config.loggers.journal is not None:
        return Path(config.loggers.journal)
    location = Location.of(config.store)
    return location.path / FILE if location.is_local else None
