"""Scores images on held-out networks after the fact: what `islands score` calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from islands.archipelago.committer import Committer
from islands.archipelago.messages import NetworkFacts
from islands.archipelago.scoring import Scoring
from islands.classifiers.apart import joined, scores_each
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import EvolveConfig, IslandsConfig, NetworkConfig, RunConfig, ScorersConfig
from islands.encodings.settings import EncodingSettings
from islands.errors import ConfigError, InputError, StoreLockedError
from islands.evolution.outcomes import outcomes
from islands.evolution.scores import HeldOutScores, told_apart
from islands.observe.lines import say
from islands.runs.conditions import note_conditions, of_scorers
from islands.runs.labelled_pictures import Picture, PictureFolder
from islands.runs.launch import scorers_for
from islands.runs.trust import FLAG
from islands.store.columns import Columns, score_columns
from islands.store.images import encoding_settings
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from islands.training.digits import train_missing

COMMIT_EVERY_S = 30.0
"""Seconds between two commits; what was scored before a crash is not scored again."""

_BATCH = 32

Remaining = Callable[[int], object]
"""Called now and then with the number of scores that are still to come."""


def watch_nothing(_remaining: int) -> None:
    """Observe nothing."""


def score_store(
    location: Path | str,
    networks: Sequence[NetworkConfig],
    *,
    at: str | None = None,
    full: bool = False,
    into_store: bool = True,
    executor: str = "in-process",
    scorers: ScorersConfig | None = None,
    observe: Remaining = watch_nothing,
    trust_networks: bool = False,
) -> Columns:
    """Score every elite of a checkpoint on held-out networks; the source network is not needed.

    Args:
        location: the store.
        networks: which.
        at: an earlier checkpoint; its scores cannot go into the store.
        full: whether the probabilities over all classes are kept as well.
        into_store: whether to commit the scores.
        executor: `in-process` or `ray`.
        scorers: their number and resources.
        observe: see `Remaining`.
        trust_networks: whether `ray` may join whatever cluster the store names.

    Returns:
        The columns of the table `scores`, and with `full` one of `probabilities` (K,).

    Raises:
        StoreError: there is no checkpoint, or the store cannot be written to.
        InputError: a network cannot be had, or cannot be compared with the source; or the store's cluster is
            not to be joined.
    """
    reader = StoreReader(location, at)
    checkpoint = reader.checkpoint()
    if checkpoint is None:
        raise InputError(f"{reader.path} has no checkpoint yet: there is nothing to score")
    if into_store and at is not None:
        raise InputError("scores of an earlier checkpoint do not go into the store; give --out for them")
    if executor == "ray" and not trust_networks:
        _require_own_cluster(reader)
    train_missing(networks)
    encoding = encoding_settings(reader, trust=trust_networks)
    config = _config(reader.config, encoding, networks, executor, scorers or ScorersConfig())
    with ExitStack() as stack:
        writer = stack.enter_context(_open(location)) if into_store else None
        committer = stack.enter_context(Committer())
        running = stack.enter_context(scorers_for(config, _source(reader)))
        assert running is not None
        scoring = Scoring(networks, running, reader.runs, len(reader.classes), full=full)
        if writer is not None:
            for line in note_conditions(reader, writer, of_scorers(config, running)):
                say(line)
        if at is None:
            scoring.restore(checkpoint.scores)
        scoring.watch(checkpoint)
        committed_at = time.monotonic()

        def commit_news() -> None:
            if writer and (news := scoring.take()):
                committer.submit("scores", partial(writer.commit_scores, news))

        try:
            while scoring.pending:
                scoring.poll(timeout=1.0)
                observe(scoring.pending)
                committer.require_sound()
                if committer.is_idle and time.monotonic() - committed_at >= COMMIT_EVERY_S:
                    commit_news()
                    committed_at = time.monotonic()
        finally:
            commit_news()
        scoring.require_sound()
        return _columns(reader, scoring.scores(), full)


def score_folder(
    folder: Path,
    networks: Sequence[NetworkConfig],
    *,
    full: bool = False,
    device: str = "auto",
    scorers: int = 1,
) -> Columns:
    """Score a folder of pictures, of which `PictureFolder` finds the classes.

    The scores of an image are those that it has in a store, whatever else is in the folder.

    Args:
        folder: of pictures, and of folders of them.
        networks: which.
        full: whether the probabilities over all classes are kept as well.
        device: where they are scored.
        scorers: threads; each scores an image at a time.

    Returns:
        Equally long columns: file, class, source_confidence (that in the name, or NaN), network, fingerprint,
        target_probability, target_rank, top1, top1_name, top1_probability; with `full` probabilities (K,).

    Raises:
        InputError: there are no such images, or a network cannot be had, or is there twice.
    """
    found = PictureFolder(folder)
    train_missing(networks)
    rows: list[dict[str, Any]] = []
    labels: dict[str, str] = {}
    asked: dict[tuple[str, tuple[str, ...]], str] = {}
    with ThreadPoolExecutor(scorers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for network in networks:
            classifier = load_classifier(**network.as_held_out.model_dump(), device=resolve_device(device))
            # A fingerprint does not know what the outputs are called.
            identity = classifier.fingerprint, tuple(classifier.classes)
            if same := asked.get(identity):
                raise ConfigError(
                    f"--network {network.label}: it is the same as {same}; expected another one"
                )
            asked[identity] = network.label
            key = f"{classifier.fingerprint} {len(asked)}"
            labels[key] = network.label
            pictures = found.shown_to(classifier)
            while batch := list(islice(pictures, _BATCH)):
                each = pool.map(classifier.predict, _asked_at_once(classifier, batch))
                rows += _rows(key, classifier, batch, joined(each), full)
    names = told_apart(labels)
    rows = [{**row, "network": names[row["network"]]} for row in rows]
    return {name: np.array([row[name] for row in rows], _DTYPES.get(name)) for name in rows[0]}


def _asked_at_once(classifier: Classifier, batch: Sequence[Picture]) -> list[Tensor]:
    """Return pictures as a network is asked about them: each alone, unless it sees to that itself."""
    pixels = [picture.pixels for picture in batch]
    if not scores_each(classifier):
        return [each[None] for each in pixels]
    return [torch.stack([*group]) for _, group in groupby(pixels, lambda each: each.shape)]


_DTYPES = {"file": object, "network": object, "fingerprint": object, "top1_name": object}


def _rows(
    network: str, classifier: Classifier, batch: Sequence[Picture], prediction: Prediction, full: bool
) -> Iterator[dict[str, Any]]:
    targets = torch.tensor([picture.class_ for picture in batch], device=classifier.device)
    found = [column.tolist() for column in outcomes(prediction, targets)]
    for number, (picture, probability, rank, top1, top1_probability) in enumerate(
        zip(batch, *found, strict=True)
    ):
        yield {
            "file": picture.file,
            "class": picture.class_,
            "source_confidence": picture.confidence,
            "network": network,
            "fingerprint": classifier.fingerprint,
            "target_probability": probability,
            "target_rank": rank,
            "top1": top1,
            "top1_name": classifier.classes[top1] if top1 >= 0 else None,
            "top1_probability": top1_probability,
            **({"probabilities": prediction.probabilities[number].tolist()} if full else {}),
        }


def _config(
    stored: RunConfig,
    encoding: EncodingSettings,
    networks: Sequence[NetworkConfig],
    executor: str,
    scorers: ScorersConfig,
) -> RunConfig:
    # Nothing evolves: somebody else's code that evolution needed is not asked for.
    ours = {"emitters": EvolveConfig().emitters, "parents": EvolveConfig().parents}
    return stored.model_copy(
        update={
            "network": networks[0],
            "encoding": encoding,
            "evolve": stored.evolve.model_copy(update=ours),
            "islands": IslandsConfig(count=stored.islands.count),
            "held_out": list(networks),
            "scorers": scorers,
            "workers": stored.workers.model_copy(update={"executor": executor, "count": 1}),
        }
    )


def _require_own_cluster(reader: StoreReader) -> None:
    address = reader.config.ray.address
    if address not in ("local", "auto"):
        raise ConfigError(
            f"{reader.path} names a Ray cluster, {address!r}, and whoever runs that can run code here; "
            f"{FLAG} joins it, if you trust the store"
        )


def _source(reader: StoreReader) -> NetworkFacts:
    image = reader.attributes["image"]
    return NetworkFacts(reader.classes, reader.attributes["fingerprint"], image["channels"], image["size"])


def _open(location: Path | str) -> StoreWriter:
    try:
        return StoreWriter.open(location)
    except (StoreLockedError, PermissionError) as error:
        hint = "or give --out FILE.json or FILE.csv to write the scores elsewhere"
        raise StoreLockedError(f"{error}, {hint}") from None


def _columns(reader: StoreReader, scores: Sequence[HeldOutScores], full: bool) -> Columns:
    names = told_apart({each.fingerprint: each.name for each in scores})
    scores = [replace(each, name=names[each.fingerprint]) for each in scores]
    columns = score_columns(reader, scores)
    if full:
        tables = [run for network in scores for run in network.runs]
        columns["probabilities"] = np.concatenate(
            [run.probabilities[run.ids >= 0] for run in tables if run.probabilities is not None]
        )
    return columns
