"""Gathers from stores what the transfer report is made of: what `islands transfer` calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from islands.classifiers.apart import one_thread, predict_each
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import NetworkConfig, RunConfig, stored_network_config
from islands.datasets.real import real_images
from islands.errors import DataError, InputError, StoreDamagedError
from islands.evolution.outcomes import outcomes
from islands.evolution.scores import HeldOutScores, told_apart
from islands.runs.controls import (
    LabelledImages,
    generation_0,
    max_softmax,
    noise,
    random_cppns,
)
from islands.runs.trust import is_trusted, reason, require_trusted
from islands.store.reader import StoreReader
from islands.texts import islands_command
from islands.transfers.measures import ByClass, Entry, Floats, ScoredImages, Transfer, by_class, entries_of

CONTROLS = 200

_REAL = 2000
"""Real images at most."""

_VERSIONS = ("islands", "torch")


def transfer(
    stores: Sequence[Path | str],
    *,
    threshold: float = 0.99,
    controls: int = CONTROLS,
    trust_networks: bool = False,
) -> Transfer:
    """Compare the stores' elites on all networks that they were evolved against or scored on.

    Args:
        stores: of the same classes and image size; each is a row.
        threshold: confidence on the source from which an image counts as confident.
        controls: images of each control at most; 0: no network is loaded, and there is neither a control row
            nor a detection score.
        trust_networks: whether to load networks even if they are code or files that a store names.

    Raises:
        InputError: stores do not go together, there is nothing to compare, or a network is not to be loaded.
        StoreError: a store cannot be read.
    """
    if not 0 <= threshold <= 1 or controls < 0:
        raise InputError(
            f"got threshold {threshold} and controls {controls}; expected a confidence from 0 to 1, "
            "and 0 or more"
        )
    readers = [StoreReader(store) for store in dict.fromkeys(map(str, stores))]
    if controls and not trust_networks:
        for reader in readers:
            require_trusted(reader.path, _networks([reader]).values())
    return _Comparison(readers, threshold, controls).report()


def transfer_of(configs: Collection[RunConfig]) -> Transfer:
    """Compare the stores of runs that were launched here, with controls on the networks that they name.

    Other networks that were asked about the images since have controls only where anybody may name them.
    """
    named = [network for config in configs for network in (config.network, *config.held_out)]
    return _Comparison([StoreReader(config.store) for config in configs], 0.99, CONTROLS, named).report()


class _Comparison:
    """The networks by fingerprint, and what is known of each."""

    def __init__(
        self,
        readers: Sequence[StoreReader],
        threshold: float,
        controls: int,
        named: Collection[NetworkConfig] | None = None,
    ) -> None:
        """Load `named` networks and those that anybody may name; None: all."""
        _require_alike(readers)
        self._named = named
        self._readers = readers
        self._threshold = threshold
        self._controls = controls
        self._classes = readers[0].classes
        self._image: Mapping[str, int] = readers[0].attributes["image"]
        self._settings = _networks(readers)
        self._target_names = told_apart({f: network.label for f, network in self._settings.items()})
        self._source_names = _source_names(readers, self._target_names)
        self._remarks: list[str] = []

    def report(self) -> Transfer:
        """Measure everything."""
        classifiers = dict(self._load()) if self._controls else {}
        real = {fingerprint: self._real(classifier) for fingerprint, classifier in classifiers.items()}
        entries: list[Entry] = []
        classes: list[ByClass] = []
        for reader in self._readers:
            source = self._source_names[str(reader.path)]
            for fingerprint, sample in self._samples(reader):
                own, target = fingerprint == reader.attributes["fingerprint"], self._target_names[fingerprint]
                entries += entries_of(
                    source, target, sample, own=own, threshold=self._threshold, real=real.get(fingerprint)
                )
                if not own:
                    classes.append(by_class(source, target, sample, len(self._classes)))
        for name, meant, selected_by in self._control_images():
            for fingerprint, classifier in classifiers.items():
                sample, target = _seen(classifier, meant), self._target_names[fingerprint]
                own = fingerprint == selected_by
                entries += entries_of(
                    name, target, sample, own=own, threshold=self._threshold, real=real[fingerprint]
                )
        return Transfer(
            threshold=self._threshold,
            chance=1 / len(self._classes),
            sources=tuple(self._provenance(reader) for reader in self._readers),
            targets=tuple(
                {
                    "name": self._target_names[fingerprint],
                    "fingerprint": fingerprint,
                    "settings": network.model_dump(mode="json"),
                }
                for fingerprint, network in self._settings.items()
            ),
            entries=tuple(entries),
            by_class=tuple(classes),
            remarks=tuple(dict.fromkeys(self._remarks)),
        )

    def _load(self) -> Iterator[tuple[str, Classifier]]:
        for fingerprint, network in self._settings.items():
            name = self._target_names[fingerprint]
            if not (self._named is None or network in self._named or is_trusted(network)):
                self._remarks.append(f"no controls on {name}: {reason()}")
                continue
            try:
                network = network.as_held_out
                found = load_classifier(**network.model_dump(), device=resolve_device("auto"))
            except InputError as error:
                self._remarks.append(f"no controls on {name}: {error}")
                continue
            if found.fingerprint != fingerprint:
                self._remarks.append(f"no controls on {name}: other weights or versions are here")
                continue
            yield fingerprint, found

    def _real(self, classifier: Classifier) -> Floats | None:
        try:
            real = real_images(self._classes, self._image["channels"], self._image["size"])
        except DataError as error:
            self._remarks.append(f"no comparison with real images: {error}")
            return None
        return None if real is None else max_softmax(classifier, real.images[:_REAL])

    def _samples(self, reader: StoreReader) -> Iterator[tuple[str, ScoredImages]]:
        """Return each network that has seen the store's elites, in the order of columns."""
        names = ("confidence", "id", "class", "probabilities")
        elites = [reader.elite_columns(run, *names) for run in range(reader.runs)]
        table: dict[str, Any] = {name: np.concatenate([run[name] for run in elites]) for name in names}
        own, ids, probabilities = table["confidence"], table["id"], table["probabilities"]
        classes = table["class"].astype(np.int64)
        source = reader.attributes["fingerprint"]
        held_out = {scores.fingerprint: scores for scores in reader.scores()}
        for fingerprint in self._settings:
            if fingerprint == source:
                filled = ids >= 0
                seen = _outcomes_of(probabilities[filled], classes[filled])
                yield fingerprint, ScoredImages(classes[filled], *seen, own[filled])
            elif scores := held_out.get(fingerprint):
                columns = [run.columns() for run in scores.runs]
                column = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
                fresh = (ids >= 0) & (column["ids"] == ids)
                missing = int((ids >= 0).sum() - fresh.sum())
                if missing:
                    name = self._target_names[fingerprint]
                    network = _option(self._settings[fingerprint])
                    self._remarks.append(
                        f"{missing} elites of {reader.path} are not scored on {name}: "
                        + islands_command("score", reader.path, "--network", network)
                    )
                yield (
                    fingerprint,
                    ScoredImages(
                        classes[fresh],
                        column["target_probability"][fresh],
                        column["target_rank"][fresh],
                        column["top1_probability"][fresh],
                        own[fresh],
                        missing,
                    ),
                )

    def _control_images(self) -> Iterator[tuple[str, LabelledImages, str | None]]:
        """Return names, images and the fingerprint of the network that chose them."""
        if not self._controls:
            return
        channels, size, k = self._image["channels"], self._image["size"], len(self._classes)
        yield "uniform noise", noise(channels, size, k, self._controls), None
        yield "random CPPNs", random_cppns(channels, size, k, self._controls), None
        for reader in self._readers:
            name = self._source_names[str(reader.path)]
            chosen = generation_0(reader, self._controls)
            yield f"generation 0 of {name}", chosen, reader.attributes["fingerprint"]

    def _provenance(self, reader: StoreReader) -> dict[str, Any]:
        versions = reader.attributes["versions"]
        return {
            "name": self._source_names[str(reader.path)],
            "store": str(reader.path),
            "snapshot": reader.session.snapshot_id,
            "epoch": reader.epoch,
            "generation": reader.generation,
            "runs": reader.runs,
            "pipeline": reader.config.pipeline,
            "network": reader.config.network.model_dump(mode="json"),
            "fingerprint": reader.attributes["fingerprint"],
            "encoding": reader.config.encoding.model_dump(mode="json"),
            "image": dict(self._image),
            "seed": reader.config.seed,
            "versions": {name: versions[name] for name in _VERSIONS},
        }


def _require_alike(readers: Sequence[StoreReader]) -> None:
    first = readers[0]
    for reader in readers:
        if reader.epoch is None:
            raise InputError(f"{reader.path} has no checkpoint yet: there is nothing to compare")
        for what, mine, theirs in (
            ("classes", first.classes, reader.classes),
            ("images", first.attributes["image"], reader.attributes["image"]),
        ):
            if mine != theirs:
                raise InputError(
                    f"{reader.path} has other {what} than {first.path}; expected stores of the same {what}"
                )


def _networks(readers: Sequence[StoreReader]) -> dict[str, NetworkConfig]:
    """Return networks by fingerprint: those evolved against first, then the held-out ones."""
    found: dict[str, NetworkConfig] = {}
    for reader in readers:
        found.setdefault(reader.attributes["fingerprint"], reader.config.network)
    for reader in readers:
        for scores in reader.scores():
            found.setdefault(scores.fingerprint, _settings_of(reader, scores))
    return found


def _settings_of(reader: StoreReader, scores: HeldOutScores) -> NetworkConfig:
    try:
        return stored_network_config(scores.settings)
    except ValidationError as error:
        raise StoreDamagedError(
            f"{reader.path} is damaged: the settings of the network {scores.name!r} mean nothing "
            f"({error.errors()[0]['msg']}); score it again"
        ) from None


def _source_names(readers: Sequence[StoreReader], networks: Mapping[str, str]) -> dict[str, str]:
    """Return what rows are called, by the stores' paths: the network, and the store where others share it."""
    networks_of = {str(reader.path): networks[reader.attributes["fingerprint"]] for reader in readers}
    names = dict(networks_of)
    shown: Callable[[str], str]
    for shown in (lambda path: Path(path).name, str):
        counts = Counter(names.values())
        names = {
            path: name if counts[name] == 1 else f"{networks_of[path]} [{shown(path)}]"
            for path, name in names.items()
        }
    return names


def _option(network: NetworkConfig) -> str:
    """Return a network as `--network` takes it."""
    settings = network.model_dump(mode="json", exclude_defaults=True)
    return network.name if len(settings) == 1 else json.dumps(settings)


def _outcomes_of(probabilities: Floats, classes: Any) -> tuple[Any, Any, Any]:
    found = torch.from_numpy(probabilities)
    seen = outcomes(Prediction(found, found), torch.from_numpy(classes))
    return seen.target_probability.numpy(), seen.target_rank.numpy(), seen.top1_probability.numpy()


def _seen(classifier: Classifier, meant: LabelledImages) -> ScoredImages:
    with one_thread():
        prediction = Prediction(*(part.cpu() for part in predict_each(classifier, meant.images)))
    seen = outcomes(prediction, torch.from_numpy(meant.classes))
    return ScoredImages(
        meant.classes,
        seen.target_probability.numpy(),
        seen.target_rank.numpy(),
        seen.top1_probability.numpy(),
    )
