"""Gathers from stores what the transfer report is made of: what `islands transfer` calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.registry import load_classifier, resolve_device
from islands.config import NetworkConfig
from islands.datasets.real import real_images
from islands.errors import DataError, InputError
from islands.evolution.outcomes import outcomes
from islands.report.transfer import ByClass, Entry, Floats, Sample, Transfer, by_class, measure
from islands.stages.controls import (
    Meant,
    batches,
    generation_0,
    max_softmax,
    noise,
    random_cppns,
)
from islands.store.reader import StoreReader

CONTROLS = 200

_REAL = 2000
"""Real images at most."""

_VERSIONS = ("islands", "torch")


def transfer(stores: Sequence[Path | str], *, threshold: float = 0.99, controls: int = CONTROLS) -> Transfer:
    """Compare the stores' elites on all networks that they were evolved against or scored on.

    Args:
        stores: of the same classes and image size; each is a row.
        threshold: confidence on the source from which an image counts as confident.
        controls: images of each control at most; 0: no network is loaded, and there is neither a control row
            nor a detection score.

    Raises:
        InputError: stores do not go together, or there is nothing to compare.
        StoreError: a store cannot be read.
    """
    return _Comparison([StoreReader(store) for store in stores], threshold, controls).report()


class _Comparison:
    """The networks by fingerprint, and what is known of each."""

    def __init__(self, readers: Sequence[StoreReader], threshold: float, controls: int) -> None:
        _require_alike(readers)
        self._readers = readers
        self._threshold = threshold
        self._controls = controls
        self._classes = readers[0].classes
        self._image: Mapping[str, int] = readers[0].attributes["image"]
        self._settings = _networks(readers)
        self._target_names = _unique(
            {f: NetworkConfig.model_validate(settings).label for f, settings in self._settings.items()}
        )
        self._source_names = _unique(
            {str(reader.path): reader.config.network.label for reader in readers},
            shown=lambda path: Path(path).name,
        )
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
                entries += measure(
                    source, target, sample, own=own, threshold=self._threshold, real=real.get(fingerprint)
                )
                if not own:
                    classes.append(by_class(source, target, sample, len(self._classes)))
        for name, meant, selected_by in self._control_images():
            for fingerprint, classifier in classifiers.items():
                sample, target = _seen(classifier, meant), self._target_names[fingerprint]
                own = fingerprint == selected_by
                entries += measure(
                    name, target, sample, own=own, threshold=self._threshold, real=real[fingerprint]
                )
        return Transfer(
            threshold=self._threshold,
            chance=1 / len(self._classes),
            sources=tuple(self._provenance(reader) for reader in self._readers),
            targets=tuple(
                {"name": self._target_names[fingerprint], "fingerprint": fingerprint, "settings": settings}
                for fingerprint, settings in self._settings.items()
            ),
            entries=tuple(entries),
            by_class=tuple(classes),
            remarks=tuple(dict.fromkeys(self._remarks)),
        )

    def _load(self) -> Iterator[tuple[str, Classifier]]:
        for fingerprint, settings in self._settings.items():
            name = self._target_names[fingerprint]
            try:
                found = load_classifier(**settings, device=resolve_device("auto"))
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

    def _samples(self, reader: StoreReader) -> Iterator[tuple[str, Sample]]:
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
                yield fingerprint, Sample(classes[filled], *seen, own[filled])
            elif scores := held_out.get(fingerprint):
                columns = [run.columns() for run in scores.runs]
                column = {name: np.concatenate([part[name] for part in columns]) for name in columns[0]}
                fresh = (ids >= 0) & (column["ids"] == ids)
                missing = int((ids >= 0).sum() - fresh.sum())
                if missing:
                    name = self._target_names[fingerprint]
                    self._remarks.append(
                        f"{missing} elites of {reader.path} are not scored on {name}: "
                        f"islands score {reader.path} --network {scores.settings['name']}"
                    )
                yield (
                    fingerprint,
                    Sample(
                        classes[fresh],
                        column["target_probability"][fresh],
                        column["target_rank"][fresh],
                        column["top1_probability"][fresh],
                        own[fresh],
                        missing,
                    ),
                )

    def _control_images(self) -> Iterator[tuple[str, Meant, str | None]]:
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


def _networks(readers: Sequence[StoreReader]) -> dict[str, Mapping[str, Any]]:
    """Return settings by fingerprint: the source networks first, then the held-out ones."""
    found: dict[str, Mapping[str, Any]] = {}
    for reader in readers:
        found.setdefault(reader.attributes["fingerprint"], reader.config.network.model_dump(mode="json"))
    for reader in readers:
        for scores in reader.scores():
            found.setdefault(scores.fingerprint, scores.settings)
    return found


def _unique(names: Mapping[str, str], shown: Any = lambda key: key[:8]) -> dict[str, str]:
    """Return the names, those that are there twice with their key."""
    listed = list(names.values())
    return {key: name if listed.count(name) == 1 else f"{name} [{shown(key)}]" for key, name in names.items()}


def _outcomes_of(probabilities: Floats, classes: Any) -> tuple[Any, Any, Any]:
    found = torch.from_numpy(probabilities)
    seen = outcomes(Prediction(found, found), torch.from_numpy(classes))
    return seen.target_probability.numpy(), seen.target_rank.numpy(), seen.top1_probability.numpy()


def _seen(classifier: Classifier, meant: Meant) -> Sample:
    parts = [classifier.predict(batch) for batch in batches(meant.images)]
    prediction = Prediction(*(torch.cat(part).cpu() for part in zip(*parts, strict=True)))
    seen = outcomes(prediction, torch.from_numpy(meant.classes))
    return Sample(
        meant.classes,
        seen.target_probability.numpy(),
        seen.target_rank.numpy(),
        seen.top1_probability.numpy(),
    )
