"""Runs every experiment with findings, one folder each, and gathers what they found."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islands.archipelago.progress import Observe, observe_nothing
from islands.config import RunConfig
from islands.errors import InputError, IslandsError
from islands.experiments.catalogue import KIND, PIPELINES
from islands.experiments.configure import resolve_run_config, variants_of
from islands.experiments.findings.verdicts import Finding
from islands.experiments.pipeline import Budget
from islands.experiments.runner import findings_of, run_experiment
from islands.observe.lines import say
from islands.runs.plan import plan

TWO_CORES = {"executor": "in-process", "count": 2, "threads": 1}
"""What all budgets but the paper's own run on: no processes to start for runs of a minute."""


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
        if pipeline.findings is not None and pipeline.laid_over(budget) is not None
    )


def configure(name: str, budget: Budget, out: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Return the settings of an experiment in its own folder below `out`.

    Raises:
        ConfigError: an override does not fit.
    """
    own = PIPELINES[name].laid_over(budget) or {}
    settings: dict[str, Any] = {"pipeline": name, "store": str(out / name), **own}
    if budget != "full":
        settings["workers"] = {**TWO_CORES, **own.get("workers", {})}
    return resolve_run_config(settings, f"islands paper --budget {budget}", overrides)


@dataclass(frozen=True)
class Forecast:
    """What an experiment would take.

    Attributes:
        pipeline: its name.
        images: that evolution scores.
        seconds: that evolution takes on this machine; None where it cannot be measured.
        beside: stages whose time is not in it.
    """

    pipeline: str
    images: int
    seconds: float | None
    beside: tuple[str, ...]


def forecast(
    budget: Budget, out: Path, only: Sequence[str] = (), overrides: Sequence[str] = ()
) -> Iterator[Forecast]:
    """Yield what each experiment would take, as soon as it was measured.

    Raises:
        InputError: as of `reproduce`.
    """
    for name, config in configured(budget, out, only, overrides).items():
        stages = PIPELINES[name].stages
        beside = tuple(stage for stage in stages if stage != "evolve")
        if "evolve" not in stages:
            yield Forecast(name, 0, 0.0, beside)
            continue
        found = plan([*variants_of(config).values()] or [config], stages)
        yield Forecast(name, found.evaluations, found.seconds, beside)


def configured(
    budget: Budget, out: Path, only: Sequence[str], overrides: Sequence[str]
) -> dict[str, RunConfig]:
    """Return the settings of all experiments, or of some, by name.

    Raises:
        InputError: a name is no experiment's, or an override does not fit.
    """
    known = experiments(budget)
    if unknown := sorted(set(only) - set(known)):
        raise InputError(f"--only {unknown[0]}: expected one of {', '.join(known)}")
    return {name: configure(name, budget, out, overrides) for name in only or known}


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
    configs = configured(budget, out, only, overrides)
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
