"""What the commands do, for Python and notebooks. Each function imports what it needs: `open` is quick."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from islands.errors import InputError

if TYPE_CHECKING:
    from islands.archipelago.progress import Observe
    from islands.cards.card import Card
    from islands.classifiers.contract import Classifier
    from islands.results import Results
    from islands.runs.verify import Verification
    from islands.store.columns import Columns
    from islands.transfers.measures import Transfer

_T = TypeVar("_T")

Place = str | os.PathLike[str]
"""A path, in which `~` and `$NAME` mean what they mean in a shell if it is a text; or the URL of a bucket."""

Network = str | Mapping[str, Any]
"""A name that `islands networks` lists, or a mapping with a `name` and settings."""


def open(store: Place, at: str | int | None = None) -> Results:  # noqa: A001 - read `islands.open`
    """Open a store to read it. Neither torch nor Ray is imported for that.

    Args:
        store: where it is.
        at: an epoch, `nearest:EPOCH`, a tag or the id of a checkpoint; None: the latest.

    Raises:
        StoreError: there is no store, or it cannot be read.
        InputError: there is no checkpoint `at`.

    Example:
        >>> run = islands.open("runs/digits")
        >>> run.confidence.shape  # runs, classes
        (1, 10)
    """
    from islands.results import Results

    return Results(_place(store), at)


def evolve(
    network: Network | Classifier,
    *,
    encoding: str | Mapping[str, Any] = "cppn",
    generations: int = 200,
    store: Place | None = None,
    progress: bool | None = None,
    observe: Observe | None = None,
    **settings: Any,
) -> Results:
    """Evolve images that a network is sure of, one for each of its classes.

    Args:
        network: see `Network`, or a classifier of your own (in this process only).
        encoding: `direct`, `cppn`, `dct`, or a mapping with a `name` and parameters.
        generations: a multiple of `evolve.generations_per_epoch` (default 10).
        store: where checkpoints go; None: a temporary folder that lasts as long as the result.
        progress: whether to show a bar; None: in terminals and notebooks.
        observe: called with a `Progress` about once an epoch.
        **settings: what else a configuration file may hold, as mappings: `evolve={"children": 100}`,
            `islands={"count": 2}`, `workers={"executor": "ray", "count": 2}`, `seed=1`, `runs=5`.

    Returns:
        The store, opened for reading.

    Raises:
        InputError: something does not fit; nothing was written.

    Example:
        >>> run = islands.evolve("linear-mnist", generations=10, evolve={"children": 20, "initial": 20})
        >>> run.image(3).shape  # of class 3
        (28, 28, 1)
    """
    import shutil
    import tempfile
    import weakref

    from islands.experiments.configure import resolve_run_config
    from islands.observe.display import watching
    from islands.results import Results
    from islands.runs.launch import launch

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
    with watching(progress, observe) as tell:
        launch(config, tell, None if isinstance(network, str | Mapping) else network)
    results = Results(config.store)
    if folder is not None:
        weakref.finalize(results.reader, shutil.rmtree, folder, ignore_errors=True)
    return results


def launch(
    file: Place | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    progress: bool | None = None,
    observe: Observe | None = None,
) -> Results:
    """Start the run that a configuration describes, and wait for it; `islands launch` starts experiments.

    Args:
        file: a configuration file, or what it would hold.
        overrides: `KEY=VALUE` texts that win over it.
        progress: whether to show a bar; None: in terminals and notebooks.
        observe: called with a `Progress` about once an epoch.

    Returns:
        The store, opened for reading.

    Raises:
        InputError: something does not fit, or there is more to do than a single run; nothing was written.
        IslandsError: the run failed; the last commit stands, and `resume` goes on from it.

    Example:
        >>> settings = {"pipeline": "mnist_direct", "store": "runs/direct"}
        >>> quick = ["network.name=linear-mnist", "evolve.generations=10", "workers.executor=in-process"]
        >>> run = islands.launch(settings, quick)
        >>> run.complete
        True
    """
    from islands.experiments.catalogue import PIPELINES
    from islands.experiments.configure import load_run_config, resolve_run_config
    from islands.observe.display import watching
    from islands.results import Results
    from islands.runs.launch import launch as operation
    from islands.texts import islands_command

    texts = _listed("overrides", overrides, least=0)
    if isinstance(file, Mapping):
        config = resolve_run_config(file, "islands.launch", texts, written=True)
    else:
        config = load_run_config(_place(file), texts)
    if PIPELINES[config.pipeline].is_several:
        raise InputError(
            f"pipeline: {config.pipeline} is more than a single run; start it with "
            + islands_command("launch", "FILE")
        )
    if config.ray.is_job_server and config.workers.executor == "ray":
        raise InputError(
            f"ray.address: {config.ray.address} takes jobs, whose driver runs elsewhere; submit it with "
            + islands_command("launch", "FILE")
        )
    with watching(progress, observe) as tell:
        operation(config, tell)
    return Results(config.store)


def resume(
    store: Place,
    overrides: Sequence[str] = (),
    *,
    at: str | int | None = None,
    break_lock: bool = False,
    progress: bool | None = None,
    observe: Observe | None = None,
) -> Results:
    """Go on with a run from its last checkpoint, or from an earlier one, to the bits of one never stopped.

    Args:
        store: where it is.
        overrides: `KEY=VALUE` texts that win over its configuration, such as `evolve.generations=400`.
        at: the epoch, tag or id of the checkpoint to go on from; later ones stay, under a tag.
        break_lock: whether to take the store from its writer, which cannot commit any more.
        progress: whether to show a bar; None: in terminals and notebooks.
        observe: called with a `Progress` about once an epoch.

    Returns:
        The store, opened for reading.

    Raises:
        InputError: the store cannot be resumed so; nothing was written.
        IslandsError: the run failed; the last commit stands.

    Example:
        >>> run = islands.resume("runs/digits", ["evolve.generations=40"])
        >>> run.config.evolve.generations
        40
    """
    from islands.observe.display import watching
    from islands.results import Results
    from islands.runs.resume import resume as operation

    place, texts = _place(store), _listed("overrides", overrides, least=0)
    with watching(progress, observe) as tell:
        operation(place, texts, tell, break_lock=break_lock, at=_checkpoint(at))
    return Results(place)


def score(images: Place, networks: Sequence[Network], *, at: str | int | None = None) -> Columns:
    """Score the images of a run, or a folder of pictures, on networks that they were not evolved against.

    Scores of a store's latest checkpoint are committed to it: `Results.scores` has them too.

    Args:
        images: a store, or a folder of pictures.
        networks: which; see `Network`.
        at: an earlier checkpoint of the store.

    Returns:
        Equally long columns, one row for each image and network; see the table `scores`.

    Raises:
        InputError: there are no images, or a network cannot be had.
        StoreError: the store cannot be read, or not be written to.

    Example:
        >>> found = islands.score("runs/digits", ["svm-mnist"])
        >>> found["target_probability"].shape
        (10,)
    """
    from islands.config.resolve import read_networks
    from islands.runs.score import score_folder, score_store
    from islands.store.location import is_store_folder

    named = _listed("networks", networks)
    read = read_networks(_as_texts(named))
    place = _place(images)
    if "://" in place or is_store_folder(Path(place)):
        return score_store(place, read, at=_checkpoint(at), into_store=at is None)
    if not Path(place).is_dir():
        raise InputError(f"{place} is no folder; expected a store or a folder of pictures")
    if at is not None:
        raise InputError(f"{place} is no store, and `at` is for stores; expected the folder of a run")
    return score_folder(Path(place), read)


def transfer(
    stores: Sequence[Place],
    *,
    threshold: float = 0.99,
    controls: int = 200,
    trust_networks: bool = False,
) -> Transfer:
    """Say how well images evolved against one network fool others: matrix, intervals, controls.

    Args:
        stores: whose elites were scored on other networks.
        threshold: confidence on the source from which an image counts as confident, 0 to 1.
        controls: images of each control; 0: none, and no network is loaded.
        trust_networks: whether to load networks even if they are code or files that a store names.

    Raises:
        InputError: stores do not go together, or a network is not to be loaded.
        StoreError: a store cannot be read.

    Example:
        >>> found = islands.transfer(["runs/digits"], controls=0)
        >>> found.chance
        0.1
    """
    from islands.runs.comparison import transfer as operation

    places = [_place(store) for store in _listed("stores", stores)]
    return operation(places, threshold=threshold, controls=controls, trust_networks=trust_networks)


def verify(
    store: Place,
    *,
    sample: int | None = 100,
    at: str | int | None = None,
    trust_networks: bool = False,
) -> Verification:
    """Check every run of a store against its sha256, then draw and score elites again.

    Args:
        store: where it is.
        sample: elites of each run at most; None: all.
        at: an earlier checkpoint; None: the latest.
        trust_networks: whether to load the network even if it is code or a file that the store names.

    Raises:
        StoreError: the store cannot be read, or holds no checkpoint.
        NetworkError: the stored network is not here, or is not to be loaded.

    Example:
        >>> islands.verify("runs/digits").mismatches
        ()
    """
    from islands.runs.verify import verify as operation

    return operation(_place(store), sample, _checkpoint(at), trust_networks=trust_networks)


def export(
    store: Place,
    folder: Place,
    *,
    layout: Literal["paper", "flat", "folder", "cells", "pytorch-ood", "openood", "zarr"] = "paper",
    at: str | int | None = None,
) -> int:
    """Export a checkpoint, and return the number of files written.

    Args:
        store: where it is.
        folder: where the files go; it must be empty, or not exist.
        layout: `paper`: names as in the authors' release; `flat`: one folder; `folder`: one for each class,
            as torchvision's `ImageFolder` expects; `pytorch-ood` and `openood`: as these benchmarks do, with
            a data sheet; `zarr`: a plain Zarr directory. With images comes `images.csv`.
        at: an earlier checkpoint; None: the latest.

    Raises:
        InputError: `folder` is not empty, or there is no such layout.
        StoreError: the store cannot be read, or has no checkpoint.

    Example:
        >>> islands.export("runs/digits", "images", layout="folder")  # ten pictures, a table, a manifest
        12
    """
    from islands.store.export import export as operation
    from islands.store.reader import StoreReader

    return operation(StoreReader(_place(store), at), Path(_place(folder)), layout)


def report(store: Place, file: Place = "report.html", *, at: str | int | None = None) -> Path:
    """Write the report of a store, one HTML page that needs nothing else, and return its path.

    Args:
        store: where it is.
        file: the page; it is replaced if it exists.
        at: an earlier checkpoint; None: the latest.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint.
        InputError: `file` is a folder.

    Example:
        >>> islands.report("runs/digits", "digits.html").stat().st_size > 10_000
        True
    """
    from islands.reports.page import write_report
    from islands.store.reader import StoreReader

    page = Path(_place(file))
    write_report(StoreReader(_place(store), at), page)
    return page


def card(
    network: Network | Classifier,
    *,
    against: Sequence[Network] = (),
    pictures: Place | None = None,
    minutes: float = 5.0,
    seeds: int | None = None,
    images: int | None = None,
    seed: int = 0,
    mitigate: Literal["none-of-the-above", "temperature", "ensemble"] | None = None,
    labels_only: bool = False,
    out: Place | None = None,
    progress: bool | None = None,
    observe: Observe | None = None,
) -> Card:
    """Say how a network is fooled: how easily, in which classes, and by what; page and badge are written too.

    Args:
        network: that is attacked; see `Network`, or a classifier of your own.
        against: others that are shown the images.
        pictures: a folder of real pictures, with a folder for each class; None: those at hand.
        minutes: about how long it may take.
        seeds: runs of each attack; None: five, or what the time allows.
        images: of each run, in place of `minutes`; 2,000 or more.
        seed: of the runs.
        mitigate: a change of the network, which is attacked again; None: none.
        labels_only: whether one attacks, too, who sees labels alone: an image costs 20 queries.
        out: a folder, from which the same call goes on; None: `cards/NETWORK`.
        progress: whether to say how it gets on; None: in terminals and notebooks.
        observe: called with a `Progress` about once an epoch.

    Returns:
        What `card.json` holds.

    Raises:
        InputError: something does not fit, or the time is too short for any verdict.
        KeyboardInterrupt: a signal stopped it; the same call goes on.
        IslandsError: a run failed; what was done before stands.

    Example:
        >>> card = islands.card("linear-mnist", seeds=1, images=2000, progress=False)
        >>> card.real.accuracy > 0.9  # on test digits
        True
    """
    from islands.cards.card_page import write_page
    from islands.cards.making import make_card
    from islands.cards.settling import Wish, folder_of
    from islands.config import NetworkConfig
    from islands.config.resolve import read_networks
    from islands.observe.display import watching
    from islands.observe.lines import say

    others = _listed("against", against, least=0)
    own = None if isinstance(network, str | Mapping) else network
    rest = read_networks(_as_texts(others))
    if isinstance(network, str | Mapping):
        (subject,) = read_networks(_as_texts([network]))
    else:
        subject = NetworkConfig(name=network.name)
    folder = folder_of(subject) if out is None else Path(_place(out))
    wish = Wish(
        network=subject,
        folder=folder,
        against=tuple(rest),
        pictures=None if pictures is None else Path(_place(pictures)),
        minutes=minutes,
        runs=seeds,
        images=images,
        seed=seed,
        mitigate=mitigate,
        labels_only=labels_only,
    )
    quiet = progress is False
    with watching(progress, observe) as tell:
        found = make_card(wish, tell, (lambda _: None) if quiet else say, own)
    if found is None:
        raise KeyboardInterrupt
    write_page(found, folder)
    return found.card


def _place(place: Place) -> str:
    from islands.config.written import expand_path

    return expand_path(place) if isinstance(place, str) else os.fspath(place)


def _checkpoint(at: str | int | None) -> str | None:
    return None if at is None else str(at)


def _listed(name: str, values: Sequence[_T], least: int = 1) -> Sequence[_T]:
    """Check what should be a list: a text is one, too, of letters.

    Raises:
        InputError: it is a single thing, or too short.
    """
    if isinstance(values, str | os.PathLike | Mapping) or len(values) < least:
        raise InputError(f"{name}: got {values!r}; expected a list of {least} or more")
    return values


def _as_texts(networks: Sequence[Network]) -> list[str]:
    """Return networks as the command line takes them."""
    return [each if isinstance(each, str) else json.dumps(dict(each)) for each in networks]


def _settings_of(network: Network | Classifier) -> dict[str, Any]:
    if isinstance(network, Mapping):
        return dict(network)
    return {"name": network if isinstance(network, str) else network.name}
