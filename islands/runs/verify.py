"""Checks a store against the network: what `islands verify` calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from islands.classifiers.apart import conditions, one_thread, predict_each
from islands.classifiers.contract import Classifier
from islands.classifiers.network_classifier import Precision
from islands.classifiers.registry import load_classifier, resolve_device
from islands.classifiers.screened import MARGINS
from islands.errors import InputError, NetworkError, StoreDamagedError, StoreError
from islands.evolution.elites import Elites
from islands.runs.conditions import unlike_stored
from islands.runs.trust import require_trusted
from islands.store.images import stored_encoding
from islands.store.reader import StoreReader

TOLERANCES = {"float32": 1e-4, "float16": 0.01, "bfloat16": 0.05}
"""Difference up to which two probabilities are the same, by the precision of the network.

Sums of floats depend on batch, engine and device. In float32 batches and single images differ by 7e-7 (LeNet,
EfficientNet-Lite0), and engines by 5e-7. Low precision is off from float32 by 0.002 in float16 and 0.012 to
0.023 in bfloat16, and two batches may round apart by twice that.
"""

SAMPLE = 100

_BATCH = 64


@dataclass(frozen=True)
class Verification:
    """What a check of a store found.

    Attributes:
        elites: how many were drawn and scored again.
        largest_difference: between a probability that is stored and one found again, over all classes.
        mismatches: a line for each run or elite that is not what it should be.
        conditions: a line for each of what float sums depend on, such as the device, that is other here than
            where the store was made.
    """

    elites: int
    largest_difference: float
    mismatches: tuple[str, ...]
    conditions: tuple[str, ...] = ()


def verify(
    location: Path | str,
    sample: int | None = SAMPLE,
    at: str | None = None,
    *,
    trust_networks: bool = False,
) -> Verification:
    """Check every run against its sha256, then draw and score elites again.

    Args:
        location: the store.
        sample: elites per run at most, the same ones at every call; None: all.
        at: an earlier checkpoint.
        trust_networks: whether to load the network even if it is code or a file that the store names.

    Raises:
        StoreError: the store cannot be read, or holds no checkpoint.
        NetworkError: the stored network is not here, or is not to be loaded.
        InputError: a sample of none.
    """
    if sample is not None and sample < 1:
        raise InputError(f"sample: got {sample}; expected 1 or more elites of each run, or None for all")
    reader = StoreReader(location, at)
    if reader.epoch is None:
        raise StoreError(f"{reader.path} has no checkpoint yet: there is nothing to verify")
    if not trust_networks:
        require_trusted(reader.path, [reader.config.network])
    classifier = _stored_classifier(reader)
    other = unlike_stored(reader, conditions(classifier))
    allowed = tolerance(reader.config.network.precision, elsewhere=bool(other))
    checked, largest, mismatches = 0, 0.0, list[str]()
    for run in range(reader.runs):
        try:
            elites = reader.resumable(run).elites
        except StoreDamagedError as error:
            mismatches.append(str(error))
            continue
        rows = _sample(elites, sample)
        differences = _differences(reader, classifier, elites.take(rows), trust=trust_networks)
        checked += len(rows)
        largest = max(largest, float(differences.max(initial=0)))
        mismatches += _described(reader, run, rows, differences, allowed)
    return Verification(checked, largest, tuple(mismatches), tuple(other))


def tolerance(precision: Precision, *, elsewhere: bool) -> float:
    """Return by how much probabilities may be off, of a store that was made under other conditions or not.

    Low precision rounds after every layer. Elsewhere log-odds may be off by the margin of a screen, and the
    steepest slope of the logistic curve is a quarter.
    """
    if elsewhere and precision in MARGINS:
        return MARGINS[precision] / 4
    return TOLERANCES[precision]


def _stored_classifier(reader: StoreReader) -> Classifier:
    network = reader.config.network
    classifier = load_classifier(**network.model_dump(), device=resolve_device("auto"))
    stored = reader.attributes["fingerprint"]
    if classifier.fingerprint != stored:
        raise NetworkError(
            f"{network.name} has fingerprint {classifier.fingerprint[:12]} here, but {reader.path} was made"
            f" with {stored[:12]}; verify with the same weights and versions"
        )
    return classifier


def _sample(elites: Elites, size: int | None) -> npt.NDArray[np.intp]:
    filled = np.flatnonzero(elites.ids >= 0)
    if size is None or size >= len(filled):
        return filled
    return np.sort(np.random.default_rng(0).choice(filled, size, replace=False))


def _differences(
    reader: StoreReader, classifier: Classifier, elites: Elites, *, trust: bool
) -> npt.NDArray[np.float32]:
    """Return for each row the largest difference over all classes; not a number counts as 1."""
    encoding = stored_encoding(reader, trust=trust)
    found = np.empty_like(elites.probabilities)
    with torch.inference_mode(), one_thread():
        for start in range(0, len(elites), _BATCH):
            rows = slice(start, start + _BATCH)
            arrays = {name: array[rows] for name, array in elites.genomes.items()}
            images = encoding.render(encoding.from_arrays(arrays, classifier.device))
            found[rows] = predict_each(classifier, images).probabilities.cpu().numpy()
    largest: npt.NDArray[np.float32] = np.abs(found - elites.probabilities).max(1, initial=0)
    return np.nan_to_num(largest, nan=1.0)


def _described(
    reader: StoreReader,
    run: int,
    rows: npt.NDArray[np.intp],
    differences: npt.NDArray[np.float32],
    tolerance: float,
) -> Iterator[str]:
    for row, difference in zip(rows, differences, strict=True):
        if difference > tolerance:
            class_ = row // reader.layout.per_class
            name = f"class {class_} ({reader.classes[class_]})"
            yield (
                f"{reader.path}: run {run}, {name}: the image scores otherwise"
                f" than stored, by {difference:.3g} where {tolerance:g} is allowed"
            )
