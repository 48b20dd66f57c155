"""Who else is told how a run gets on. Imports none of their libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from islands.extensions.kinds import Registry
from islands.extensions.references import implementation
from islands.extensions.sections import Choice, Name, PathName, Section, own_settings

if TYPE_CHECKING:
    from islands.config import RunConfig


class LoggerSettings(Section):
    """Somebody who is told. Your own derives from this, and says what is opened for a run.

    Example:
        >>> from contextlib import contextmanager
        >>> class Shout(islands.LoggerSettings):
        ...     @contextmanager
        ...     def open(self, config):
        ...         yield lambda progress: print("epoch", progress.epoch)
        >>> Shout(name="shout").name
        'shout'
    """

    made_by: ClassVar[str] = ""
    """`MODULE:NAME` of what is called with the settings and the configuration, for `open`."""

    name: str
    """`islands loggers` lists them. `MODULE:NAME` or `file:PATH.py:NAME` is your own."""

    def open(self, config: RunConfig) -> AbstractContextManager[Callable[[Any], None]]:
        """Return a context that gives what takes `islands.Progress`, about once an epoch.

        What is raised later ends no run: it is told once, and nobody asks again.

        Raises:
            ConfigError: it cannot be opened; then no run begins.
        """
        opened: AbstractContextManager[Callable[[Any], None]] = implementation(self.made_by)(self, config)
        return opened


class TensorBoardLogger(LoggerSettings):
    """TensorBoard's files in a folder."""

    made_by: ClassVar[str] = "islands.observe.loggers:tensorboard"
    name: Literal["tensorboard"] = "tensorboard"
    folder: PathName
    """Where they are written."""


class MlflowLogger(LoggerSettings):
    """A run of MLflow."""

    made_by: ClassVar[str] = "islands.observe.loggers:mlflow"
    name: Literal["mlflow"] = "mlflow"
    tracking_uri: PathName
    """Where it is written."""


class WandbLogger(LoggerSettings):
    """A run of Weights & Biases."""

    made_by: ClassVar[str] = "islands.observe.loggers:wandb"
    name: Literal["wandb"] = "wandb"
    project: Name
    """In which it is."""


LOGGERS = Registry[type[LoggerSettings]](
    "loggers",
    "a class that derives from islands.LoggerSettings",
    own_settings(LoggerSettings),
    {"tensorboard": TensorBoardLogger, "mlflow": MlflowLogger, "wandb": WandbLogger},
)
"""All loggers by name."""


class LoggersConfig(Section):
    """Who else is told how a run gets on. None of this changes results."""

    journal: PathName | None = None
    """A file of JSON lines; null: `log.jsonl` within a store on a disk, none for one in a bucket."""
    level: Literal["debug", "info", "warning"] = "info"
    """Of the journal; `debug` has every epoch of every island."""
    tensorboard: PathName | None = None
    """A folder for TensorBoard."""
    mlflow: PathName | None = None
    """A tracking URI of MLflow."""
    wandb: Name | None = None
    """A project of Weights & Biases; `WANDB_MODE=offline` keeps it here."""
    others: list[Annotated[LoggerSettings, Choice(LOGGERS, LoggerSettings)]] = Field(default=[])
    """Further ones, such as your own, each with its settings: `{name: MODULE:NAME, …}`."""

    @property
    def all(self) -> Iterator[LoggerSettings]:
        """Yield all but the journal."""
        if self.tensorboard is not None:
            yield TensorBoardLogger(folder=self.tensorboard)
        if self.mlflow is not None:
            yield MlflowLogger(tracking_uri=self.mlflow)
        if self.wandb is not None:
            yield WandbLogger(project=self.wandb)
        yield from self.others
