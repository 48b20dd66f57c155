"""A log for programs: a line of JSON for each event, with run, island and epoch where it has them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from islands.config import RunConfig
from islands.errors import ConfigError
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


class _Journal(logging.FileHandler):
    """A file that ends no run: what a full disk does not take is missing from it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is Python's
        """Say nothing: by default a traceback follows each event."""

    def close(self) -> None:
        """Close the file; what is left to be written may be lost."""
        with suppress(OSError):
            super().close()


@contextmanager
def journal(config: RunConfig) -> Iterator[None]:
    """Write what `islands` logs to `loggers.journal`, or to a file within a store on a disk.

    Raises:
        ConfigError: the file cannot be opened.
    """
    file = _file(config)
    if file is None:
        yield
        return
    logger = logging.getLogger("islands")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = _Journal(file, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"loggers.journal: {file} cannot be written ({error}); choose another") from None
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
