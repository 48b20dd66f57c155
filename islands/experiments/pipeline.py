"""What an experiment is: data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from islands.experiments.findings.verdicts import Finding
from islands.extensions.sections import Section

if TYPE_CHECKING:
    from islands.experiments.findings.evidence import Evidence


Budget = Literal["small", "laptop", "full"]
"""small: a demonstration, half an hour of two cores; laptop: hours of them; full: the paper's."""

EVOLVING = frozenset({"fetch", "train", "evolve", "test"})
"""Stages whose results are in the stores of runs, or follow from them."""


@dataclass(frozen=True)
class Pipeline:
    """An experiment: settings that a configuration file completes and may override.

    Example:
        >>> pipeline = islands.Pipeline(
        ...     name="digits",
        ...     summary="digits by a CPPN",
        ...     paper="",
        ...     settings={"network": {"name": "lenet-mnist"}, "encoding": {"name": "cppn"}},
        ... )
        >>> pipeline.stages
        ('evolve',)
    """

    name: str
    summary: str
    paper: str
    """The section and figure of Nguyen, Yosinski and Clune (CVPR 2015)."""
    settings: Mapping[str, Any]
    """As in a configuration file; a file's own settings win."""
    stages: tuple[str, ...] = ("evolve",)
    """What is done, in order; names of `islands.experiments.runner.STAGES`."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Runs side by side, by name: settings laid over those above and the file's. Each has a store of its own,
    which its name is, in the folder that `store` names; held-out networks of the file come in addition."""
    parameters: type[Section] | None = None
    """The schema of the section `parameters`: what stages other than evolution are told."""
    small: Mapping[str, Any] | None = None
    """Laid over `settings` by `islands paper --budget small`: a minute or two of two cores. None: the
    experiment has no small form."""
    laptop: Mapping[str, Any] | None = None
    """The same by `--budget laptop`: the paper's size where two cores have it in an hour or two."""
    full: Mapping[str, Any] = field(default_factory=dict)
    """The same by `--budget full`: what a launch has less of than the paper."""

    def laid_over(self, budget: Budget) -> Mapping[str, Any] | None:
        """Return what is laid over `settings` by a budget; None: the experiment has no such form."""
        return {"small": self.small, "laptop": self.laptop, "full": self.full}[budget]

    findings: Callable[[Evidence], Sequence[Finding]] | None = None
    """Computes the closing table from stores and results alone, so that it can be computed again offline."""

    @property
    def is_several(self) -> bool:
        """Whether it is more than a single run, whose store is then the folder of the experiment."""
        return bool(self.variants) or "evolve" not in self.stages or bool(set(self.stages) - EVOLVING)

    @property
    def runs(self) -> Mapping[str, Mapping[str, Any]]:
        """The variants; of an experiment that evolves a single run and does more, that run by itself.

        A store has a folder of its own, and what stages find is beside it.
        """
        return (
            {"run": {}}
            if self.is_several and "evolve" in self.stages and not self.variants
            else self.variants
        )


def crossed(networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return a variant for each network: evolved against it, scored on all others."""
    return {
        name: {"network": network, "held_out": [other for key, other in networks.items() if key != name]}
        for name, network in networks.items()
    }
