"""Do images evolved against one network fool others? Pure functions from scores to the numbers.

What is reported follows what the field reports: success rates with their counts (TransferAttack), pooled and
not averaged over batches, both denominators (advdiff #14), and detection by max-softmax as OpenOOD does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

SCHEMA_VERSION = 1
"""Of the JSON that `Transfer.as_json` gives."""

CONFIDENCES = (0.5, 0.9, 0.99)
CURVE = np.linspace(0, 1, 101)
"""Thresholds of the curve of success."""

DOGS_AND_CATS = range(157, 287)
"""ImageNet classes 157-286: of all, they fooled least (paper section 3.4)."""

NOTE = (
    "Confidences of different weight sets are not comparable (torchvision #7570); ranks and AUROC are. "
    "Intervals are Wilson's at 95 %. * marks the network that the images were evolved against."
)

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Kind = Literal["elites", "control"]


@dataclass(frozen=True)
class ScoredImages:
    """n images of one source as one target network sees them.

    Attributes:
        classes: (n,) the class that each is meant for.
        probability: (n,) of that class.
        rank: (n,) of that class, 1 for the top.
        top1_probability: (n,) of the class that the network sees first.
        source_probability: (n,) of the class on the network evolved against; None for controls.
        missing: elites that this network has not scored.
    """

    classes: Ints
    probability: Floats
    rank: Ints
    top1_probability: Floats
    source_probability: Floats | None = None
    missing: int = 0

    def take(self, rows: npt.NDArray[np.bool_]) -> ScoredImages:
        """Return some of the images."""
        source = None if self.source_probability is None else self.source_probability[rows]
        return ScoredImages(
            self.classes[rows], self.probability[rows], self.rank[rows], self.top1_probability[rows], source
        )


@dataclass(frozen=True)
class Rate:
    """k of n, with Wilson's 95 % interval; without images all is 0 to 1."""

    k: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """k/n; None without images."""
        return self.k / self.n if self.n else None


@dataclass(frozen=True)
class Detection:
    """How well max-softmax tells real images (positive: "in") from these; see OpenOOD.

    Attributes:
        auroc: 0.5 where they look alike, 1 where real images always score higher, 0 where they never do.
        aupr_in: average precision for the real images.
        aupr_out: average precision for these images.
        fpr95: share of these images accepted where 95 % of the real ones are.
        real: number of real images.
    """

    auroc: float
    aupr_in: float
    aupr_out: float
    fpr95: float
    real: int


@dataclass(frozen=True)
class Entry:
    """One source on one target.

    Attributes:
        source: row of the matrix.
        kind: of the source.
        target: column of the matrix.
        own: whether the target is the network evolved against: the diagonal.
        denominator: `all` images, or those of at least the threshold on the network evolved against.
        n: images.
        missing: elites that were not scored on this target, and are in no number.
        top1: images whose class is seen first.
        top5: images whose class is among the first five.
        at: images of at least each confidence, in their class.
        mean: of the probability of the class.
        median: likewise.
        median_rank: of the class.
        curve: share of images of at least each threshold of `CURVE`.
        area: under the curve.
        detection: against real images of the target's classes, where they are at hand.
    """

    source: str
    kind: Kind
    target: str
    own: bool
    denominator: Literal["all", "confident"]
    n: int
    missing: int
    top1: Rate
    top5: Rate
    at: dict[str, Rate]
    mean: float | None
    median: float | None
    median_rank: float | None
    curve: list[float]
    area: float | None
    detection: Detection | None


@dataclass(frozen=True)
class ByClass:
    """Transfer of one source to one target, class by class.

    Attributes:
        source: row of the matrix.
        target: column of the matrix.
        n: images of each class, over runs.
        top1: those whose class is seen first.
        never: classes of which no image transfers.
        dogs_and_cats: top-1 of ImageNet classes 157 to 286; None for other classes.
        others: top-1 of all other classes.
    """

    source: str
    target: str
    n: list[int]
    top1: list[int]
    never: list[int]
    dogs_and_cats: Rate | None
    others: Rate | None


@dataclass(frozen=True)
class Transfer:
    """The report.

    Attributes:
        threshold: confidence on the source from which images count as `confident`.
        chance: of a random class: 1/K.
        sources: where the images of each row come from: store, checkpoint, network, encoding, seed, versions.
        targets: the network of each column: its settings and fingerprint.
        entries: all of the matrix, for both denominators.
        by_class: likewise, off the diagonal.
        remarks: what could not be had.
        note: how to read it.
    """

    threshold: float
    chance: float
    sources: tuple[Mapping[str, Any], ...]
    targets: tuple[Mapping[str, Any], ...]
    entries: tuple[Entry, ...]
    by_class: tuple[ByClass, ...]
    remarks: tuple[str, ...] = ()
    note: str = NOTE
    schema_version: int = SCHEMA_VERSION

    def as_json(self) -> dict[str, Any]:
        """Return what `json.dump` takes."""
        return {**asdict(self), "curve_thresholds": CURVE.round(2).tolist()}

    def rows(self) -> list[dict[str, Any]]:
        """Return the long form for a CSV: one row for each number."""
        return [row for entry in self.entries for row in _long(entry)]


def rate(hits: npt.NDArray[np.bool_]) -> Rate:
    """Count the hits."""
    from scipy.stats import binomtest

    k, n = int(hits.sum()), len(hits)
    if n == 0:
        return Rate(0, 0, 0.0, 1.0)
    interval = binomtest(k, n).proportion_ci(method="wilson")
    return Rate(k, n, float(interval.low), float(interval.high))


def detection(top1_probability: Floats, real: Floats) -> Detection | None:
    """Compare the max-softmax of images with that of real ones; None without either."""
    if not len(top1_probability) or not len(real):
        return None
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    is_real = np.concatenate([np.ones(len(real), int), np.zeros(len(top1_probability), int)])
    scores = np.concatenate([real, top1_probability]).astype(np.float64)
    accepted, true_positives, _ = roc_curve(is_real, scores, drop_intermediate=False)
    return Detection(
        auroc=float(roc_auc_score(is_real, scores)),
        aupr_in=float(average_precision_score(is_real, scores)),
        aupr_out=float(average_precision_score(1 - is_real, -scores)),
        fpr95=float(accepted[np.argmax(true_positives >= 0.95)]),
        real=len(real),
    )


def entries_of(
    source: str, target: str, sample: ScoredImages, *, own: bool, threshold: float, real: Floats | None
) -> Iterator[Entry]:
    """Return the entry over all images, and for elites that over those confident on their source."""
    kind: Kind = "control" if sample.source_probability is None else "elites"
    yield _entry(source, kind, target, own, "all", sample, real)
    if sample.source_probability is not None:
        confident = sample.take(sample.source_probability >= np.float32(threshold))
        yield _entry(source, kind, target, own, "confident", confident, real)


def by_class(source: str, target: str, sample: ScoredImages, class_count: int) -> ByClass:
    """Return the transfer of each class."""
    hits = sample.rank == 1
    n = np.bincount(sample.classes, minlength=class_count)
    top1 = np.bincount(sample.classes[hits], minlength=class_count)
    animals = np.isin(sample.classes, np.array(DOGS_AND_CATS))
    is_imagenet = class_count == 1000
    return ByClass(
        source,
        target,
        n.tolist(),
        top1.tolist(),
        never=np.flatnonzero((n > 0) & (top1 == 0)).tolist(),
        dogs_and_cats=rate(hits[animals]) if is_imagenet else None,
        others=rate(hits[~animals]) if is_imagenet else None,
    )


def _entry(
    source: str,
    kind: Kind,
    target: str,
    own: bool,
    denominator: Literal["all", "confident"],
    sample: ScoredImages,
    real: Floats | None,
) -> Entry:
    from sklearn.metrics import auc

    n = len(sample.classes)
    probability = sample.probability
    curve = [float((probability >= np.float32(least)).mean()) if n else 0.0 for least in CURVE]
    return Entry(
        source=source,
        kind=kind,
        target=target,
        own=own,
        denominator=denominator,
        n=n,
        missing=sample.missing,
        top1=rate(sample.rank == 1),
        top5=rate(sample.rank <= 5),
        at={f"{least:g}": rate(probability >= np.float32(least)) for least in CONFIDENCES},
        mean=float(probability.mean(dtype=np.float64)) if n else None,
        median=float(np.median(probability)) if n else None,
        median_rank=float(np.median(sample.rank)) if n else None,
        curve=curve,
        area=float(auc(CURVE, curve)) if n else None,
        detection=None if real is None else detection(sample.top1_probability, real),
    )


def _long(entry: Entry) -> Iterator[dict[str, Any]]:
    place = {
        name: getattr(entry, name) for name in ("source", "kind", "target", "own", "denominator", "missing")
    }
    rates = {"top1": entry.top1, "top5": entry.top5}
    rates |= {f"probability>={least}": found for least, found in entry.at.items()}
    for metric, found in rates.items():
        counted = {"k": found.k, "n": found.n, "low": found.low, "high": found.high}
        yield {**place, "metric": metric, "value": found.value, **counted}
    values: dict[str, Any] = {"mean_probability": entry.mean, "median_probability": entry.median}
    values |= {"median_rank": entry.median_rank, "area": entry.area}
    if entry.detection is not None:
        values |= asdict(entry.detection)
    values |= {f"curve>={least:.2f}": share for least, share in zip(CURVE, entry.curve, strict=True)}
    for metric, value in values.items():
        yield {**place, "metric": metric, "value": value, "k": None, "n": entry.n, "low": None, "high": None}


def names(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of sources or targets, in order."""
    return [str(item["name"]) for item in items]
