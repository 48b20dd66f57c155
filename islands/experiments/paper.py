"""Runs every experiment with findings, one folder each, and gathers what they found."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from islands.archipelago.progress import Observe, observe_nothing
from islands.config import RunConfig
from islands.errors import InputError, IslandsError
from islands.experiments.catalogue import KIND, PIPELINES
from islands.experiments.configure import resolve_run_config
from islands.experiments.findings.verdicts import Finding
from islands.experiments.runner import findings_of, run_experiment
from islands.observe.lines import say

Budget = Literal["small", "full"]

SMALL_MACHINE = {"executor": "in-process", "count": 2, "threads": 1}
"""Two cores, and no processes to start for runs of a minute."""


@dataclass(frozen=True)
class Chapter:
    """One experiment of the report.

    Attributes:
        pipeline: its name.
        summary: in a few words.
        paper: the section of the paper.
        findings: empty where it failed.
        failure: why there are none.
        seconds: that this call spent on it.
    """

    pipeline: str
    summary: str
    paper: str
    findings: tuple[Finding, ...]
    failure: str | None
    seconds: float


def experiments(budget: Budget) -> tuple[str, ...]:
    """Return the names of the pipelines that draw conclusions, and have a form of that budget."""
    return tuple(
        name
        for name, pipeline in KIND.built_in.items()
        if pipeline.findings is not None and (budget == "full" or pipeline.small is not None)
    )


def configure(name: str, budget: Budget, out: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the settings of an experiment in its own folder below `out`.

    Raises:
        ConfigError: an override does not fit.
    """
    pipeline = PIPELINES[name]
    settings: dict[str, Any] = {"pipeline": name, "store": str(out / name)}
    if budget == "small":
        small = pipeline.small or {}
        settings |= {**small, "workers": {**SMALL_MACHINE, **small.get("workers", {})}}
    else:
        settings |= pipeline.full
    return resolve_run_config(settings, f"islands paper --budget {budget}", overrides)


def reproduce(
    budget: Budget,
    out: Path,
    *,
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
    observe: Observe = observe_nothing,
) -> list[Chapter] | None:
    """Run what is missing of all experiments, or of some; None where a signal stopped it.

    An experiment that fails does not keep the others from running.

    Raises:
        InputError: a name is no experiment's, or an override does not fit.
    """
    known = experiments(budget)
    if unknown := sorted(set(only) - set(known)):
        raise InputError(f"--only {unknown[0]}: expected one of {', '.join(known)}")
    configs = {name: configure(name, budget, out, overrides) for name in only or known}
    failures, seconds = {}, {}
    for number, (name, config) in enumerate(configs.items(), 1):
        say(f"{name} ({number} of {len(configs)})")
        started = time.monotonic()
        try:
            if not run_experiment(config, observe):
                return None
        except IslandsError as error:
            failures[name] = str(error)
            say(f"{name} failed: {error}")
        seconds[name] = time.monotonic() - started
    found = findings_of([out / name for name in configs if name not in failures])
    return [
        Chapter(
            name,
            PIPELINES[name].summary,
            PIPELINES[name].paper,
            tuple(found.get(name, ())),
            failures.get(name),
            seconds[name],
        )
        for name in configs
    ]
