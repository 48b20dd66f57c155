"""What a stage of an experiment gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from islands.archipelago.progress import Observe
from islands.classifiers.contract import Classifier
from islands.config import RunConfig
from islands.experiments.configure import variants_of
from islands.experiments.items import Items
from islands.observe.lines import say
from islands.runs.resume import lacks_scores, launch_or_resume
from islands.store.location import Location
from islands.store.reader import StoreReader

P = TypeVar("P")


class Stopped(Exception):  # noqa: N818 - it is no error
    """A signal asked to stop, and what was done is kept: the same command goes on."""


@dataclass(frozen=True)
class Context(Generic[P]):
    """An experiment under way.

    Attributes:
        config: the settings; `config.store` is the folder of the experiment.
        parameters: of the pipeline's own schema, `Pipeline.parameters`; None where it has none.
        observe: takes the progress of evolution.
        say: takes lines of progress of everything else.

    Example:
        >>> def count_elites(context: islands.Context) -> None:
        ...     for name, config in context.runs.items():
        ...         elites = context.evolve(config).elite_columns(0, "id")["id"]
        ...         context.say(f"{name}: {(elites >= 0).sum()} elites")
    """

    config: RunConfig
    parameters: P
    observe: Observe
    say: Callable[[str], None] = say

    @property
    def folder(self) -> Path:
        """Where everything of the experiment lies.

        Raises:
            StoreError: in a bucket, where stores of runs can be and nothing else.
        """
        return Location.of(self.config.store).path

    @property
    def runs(self) -> Mapping[str, RunConfig]:
        """The configurations of the runs side by side by name; of a single run, under an empty name."""
        return variants_of(self.config) or {"": self.config}

    def items(self, stage: str) -> Items:
        """Return what a stage has done so far."""
        return Items(self.folder, stage)

    def evolve(self, config: RunConfig, classifier: Classifier | None = None) -> StoreReader:
        """Evolve to the end of the budget and score, unless that was done before, and return the store.

        Args:
            config: of the run.
            classifier: that this process alone has, in place of the network that is named.

        Raises:
            Stopped: a signal came first.
        """
        reader = launch_or_resume(config, self.observe, classifier)
        if not reader.complete or lacks_scores(reader, config.held_out):
            raise Stopped
        return reader
