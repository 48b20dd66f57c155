"""What the commands do, for Python and notebooks: no YAML and no cluster needed."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import assemble
from islands.archipelago.progress import Observe, observe_nothing
from islands.classifiers.contract import Classifier
from islands.config.written import expand_path
from islands.experiments.configure import resolve_run_config
from islands.results import Results
from islands.runs.launch import launch, run_in_store
from islands.store.writer import require_free


def open(  # noqa: A001 - read `islands.open`
    store: str | os.PathLike[str], at: str | int | None = None
) -> Results:
    """Open a store to read it.

    Args:
        store: its path; in a text `~` and `$NAME` mean what they mean in a shell.
        at: an epoch, or the id of a checkpoint; None: the latest.

    Raises:
        StoreError: there is no store, or it cannot be read.
    """
    return Results(expand_path(store) if isinstance(store, str) else os.fspath(store), at)


def evolve(
    network: str | Mapping[str, Any] | Classifier,
    *,
    encoding: str | Mapping[str, Any] = "cppn",
    generations: int = 200,
    store: str | os.PathLike[str] | None = None,
    observe: Observe = observe_nothing,
    **settings: Any,
) -> Results:
    """Evolve images that a network is sure of, one for each of its classes.

    Args:
        network: a name that `islands networks` lists, a mapping with a `name` and settings, or a classifier
            of your own (in this process only).
        encoding: `direct`, `cppn`, or a mapping with a `name` and parameters.
        generations: a multiple of `evolve.generations_per_epoch` (default 10).
        store: where checkpoints go; None: a temporary folder that lasts as long as the result.
        observe: called with a `Progress` about once an epoch.
        **settings: what else a configuration file may hold, as mappings: `evolve={"children": 100}`,
            `islands={"count": 2}`, `workers={"executor": "ray", "count": 2}`, `seed=1`, `runs=5`.

    Returns:
        The store, opened for reading.

    Raises:
        InputError: something does not fit; nothing was written.
    """
    folder = None if store is not None else tempfile.mkdtemp(prefix="islands-")
    config = resolve_run_config(
        {
            "pipeline": "custom",
            **settings,
            "store": store if store is not None else Path(str(folder)) / "run",
            "network": _settings_of(network),
            "encoding": {"name": encoding} if isinstance(encoding, str) else dict(encoding),
            "evolve": {**settings.get("evolve", {}), "generations": generations},
            "workers": {"executor": "in-process", **settings.get("workers", {})},
        },
        "islands.evolve",
        written=True,
    )
    if isinstance(network, str | Mapping):
        launch(config, observe)
    else:
        require_free(config.store)
        workers = config.workers
        with closing(
            InProcessExecutor(assemble(config, network), workers.count, workers.threads)
        ) as executor:
            run_in_store(config, executor, observe)
    results = Results(config.store)
    if folder is not None:
        weakref.finalize(results.reader, shutil.rmtree, folder, ignore_errors=True)
    return results


def _settings_of(network: str | Mapping[str, Any] | Classifier) -> dict[str, Any]:
    if isinstance(network, Mapping):
        return dict(network)
    return {"name": network if isinstance(network, str) else network.name}
