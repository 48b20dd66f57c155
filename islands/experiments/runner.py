"""Runs the stages of an experiment one after the other, and computes its findings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from islands.archipelago.progress import Observe, observe_nothing
from islands.config import RunConfig
from islands.config.changes import MAY_CHANGE, on_its_engines, require_unchanged
from islands.config.own_code import Own, require_trusted
from islands.datasets.assets import find_asset, pull
from islands.errors import InputError
from islands.experiments.catalogue import KIND, PIPELINES
from islands.experiments.configure import parameters_of
from islands.experiments.context import Context, Stopped
from islands.experiments.findings.evidence import EXPERIMENT, Evidence, read_config
from islands.experiments.findings.verdicts import Finding, as_text
from islands.experiments.pipeline import EVOLVING
from islands.experiments.stages import (
    ascend,
    families,
    garbage,
    label_only,
    real_images,
    repetition,
    retrain,
    transfer,
)
from islands.extensions.kinds import Registry
from islands.files import write_whole
from islands.observe.lines import say
from islands.store.location import Location
from islands.training.digits import train_missing

_TORCHVISION = re.compile(r"torchvision:\w+@(?!random:)\w+")
"""A network of torchvision in a name, which may be a combination of several."""

FINDINGS = "findings"
"""Name of the files of findings in an experiment's folder, but for `.json` and `.txt`."""

RUNS_MAY_CHANGE = MAY_CHANGE
"""What the same folder may be launched again with, where evolution is all that is done."""
STAGES_MAY_CHANGE = ("workers", "scorers", "ray", "checkpoint", "store")
"""The same where other stages build on what evolved."""


def _fetch(context: Context[Any]) -> None:
    """Pull the weights of torchvision's networks, unless they are there."""
    for run in context.runs.values():
        for network in (run.network, *run.held_out):
            for name in _TORCHVISION.findall(network.name):
                pull(find_asset(name))


def _train(context: Context[Any]) -> None:
    """Train the networks of ours that are not there yet."""
    for config in context.runs.values():
        train_missing([config.network, *config.held_out])


def _evolve(context: Context[Any]) -> None:
    """Evolve, and score held-out networks."""
    for config in context.runs.values():
        context.evolve(config)


STAGES = Registry[Callable[[Context[Any]], None]](
    "stages",
    "a function that takes an islands.Context",
    callable,
    {
        "fetch": _fetch,
        "train": _train,
        "evolve": _evolve,
        "transfer": transfer.run,
        real_images.STAGE: real_images.run,
        ascend.STAGE: ascend.run,
        families.STAGE: families.run,
        garbage.STAGE: garbage.run,
        label_only.STAGE: label_only.run,
        repetition.STAGE: repetition.run,
        "retrain-mnist": retrain.run_mnist,
        "retrain-images": retrain.run_images,
    },
)
"""All stages by name. A stage does what is missing, and finds what was done before in the experiment's
folder; it can be killed at any time and run again. It raises `Stopped` where a signal stops it."""


def run_experiment(
    config: RunConfig, observe: Observe = observe_nothing, say: Callable[[str], None] = say
) -> bool:
    """Run what is missing of an experiment; return False where a signal stopped it.

    Raises:
        InputError: something does not fit, or the folder holds an experiment with other settings.
        IslandsError: a stage failed; what was done before stands.
    """
    pipeline = PIPELINES[config.pipeline]
    parameters = parameters_of(config)
    if pipeline.is_several:
        config = _described(config)
    context = Context(config, parameters, observe, say)
    try:
        for stage in pipeline.stages:
            STAGES.get(stage)(context)
    except Stopped:
        return False
    if pipeline.findings is not None:
        _write(findings_of([context.folder])[config.pipeline], context.folder)
    return True


def findings_of(folders: Sequence[Path]) -> dict[str, list[Finding]]:
    """Compute the findings of experiments by pipeline; nothing is run, and no network is loaded.

    Some findings compare two experiments, and need both.

    Raises:
        InputError: a folder holds no experiment, or two hold the same.
    """
    evidence: dict[str, Evidence] = {}
    for folder in folders:
        config = read_config(folder)
        if config.pipeline not in KIND.built_in:
            require_trusted(folder, [Own(KIND, config.pipeline)])
        if config.pipeline in evidence:
            raise InputError(f"{folder}: got a second {config.pipeline}; expected one of each")
        evidence[config.pipeline] = Evidence(folder, config, parameters_of(config), evidence)
    found = {}
    for name, each in evidence.items():
        findings = PIPELINES[name].findings if name in PIPELINES else None
        if findings is None:
            raise InputError(f"{each.folder}: the pipeline {name} draws no conclusions")
        found[name] = list(findings(each))
    return found


def _described(config: RunConfig) -> RunConfig:
    """Write down what the experiment is, or check that it is the same; return it, on its engines."""
    folder = Location.of(config.store).path
    path = folder / EXPERIMENT
    if path.is_file():
        allowed = RUNS_MAY_CHANGE if _only_evolves(config) else STAGES_MAY_CHANGE
        stored = read_config(folder)
        config = on_its_engines(stored, config)
        require_unchanged(stored, config, allowed)
    write_whole(path, json.dumps(config.model_dump(mode="json"), indent=1) + "\n")
    return config


def _only_evolves(config: RunConfig) -> bool:
    return not set(PIPELINES[config.pipeline].stages) - EVOLVING - {"transfer"}


def _write(findings: Sequence[Finding], folder: Path) -> None:
    document = json.dumps([finding.as_json() for finding in findings], indent=1)
    write_whole(folder / f"{FINDINGS}.json", f"{document}\n")
    write_whole(folder / f"{FINDINGS}.txt", f"{as_text(findings)}\n")
