"""What the report shows, as plain numbers and text that JSON takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from islands.config import RunConfig
from islands.evolution.elites import Arrays
from islands.reports.ancestry import BUDGET, collect_lineages
from islands.reports.embedded_networks import collect_networks, programs_of
from islands.reports.exchange import collect_topology
from islands.reports.growth import collect_growth
from islands.reports.scales import evenly, log_odds
from islands.reports.takeovers import collect_takeovers
from islands.store.columns import network_names, table
from islands.store.genealogy import Genealogy
from islands.store.reader import StoreReader
from islands.store.schema import THRESHOLDS
from islands.store.statistics import Statistics, images_by_epoch, measure, over_time
from islands.texts import level
from islands.transfers.measures import DOGS_AND_CATS

_CURVE_POINTS = 120
_CLASS_CURVE_POINTS = 40
_TOP = 5
_NETWORKS = 30_000_000
"""Characters of the networks that draw elites and, as far as there is room, their ancestors."""
_LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_USUAL = _LEVELS.index(0.9)


class Pictures(Protocol):
    """Turns genomes into what an `<img>` takes as its source, and says how large that is."""

    def elites(self, genomes: Iterable[tuple[int, int]]) -> list[str]:
        """Return the source of the picture of each elite, which is given by its run and id."""
        ...

    def ancestor(self, run: int, id_: int) -> str | None:
        """Return the source of a small picture of an ancestor; None where its genome was not kept."""
        ...

    def genome(self, run: int, id_: int) -> Arrays | None:
        """Return the arrays of a genome, each (1, width); None where it was not kept."""
        ...


@dataclass
class _Run:
    """One run as the report reads it: everything is read before anything is drawn."""

    number: int
    ids: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float32]
    generations: npt.NDArray[np.int32]
    islands: npt.NDArray[np.int32]
    operators: npt.NDArray[np.uint8]
    top: list[list[list[float]]]
    """Of each class, the classes of highest probability and these."""
    curves: npt.NDArray[np.float32]
    statistics: Statistics
    """Over time."""
    ends: Statistics
    genealogy: Genealogy
    evaluations: int

    @classmethod
    def read(cls, reader: StoreReader, run: int) -> _Run:
        cells: dict[str, Any] = dict(reader.cell_columns(run, "confidence", "id"))
        columns: dict[str, Any] = dict(reader.elite_columns(run, "id", "generation", "island", "operator"))
        return cls(
            number=run,
            ids=columns["id"],
            confidence=reader.confidence(run),
            generations=columns["generation"],
            islands=columns["island"],
            operators=columns["operator"],
            top=_top(reader.probabilities(run)),
            curves=reader.curves(run),
            statistics=over_time(reader, run),
            ends=measure(cells["confidence"], cells["id"] >= 0),
            genealogy=Genealogy(reader, run),
            evaluations=reader.evaluations(run),
        )


def _top(probabilities: npt.NDArray[np.float32]) -> list[list[list[float]]]:
    best = [np.argsort(-scores, kind="stable")[:_TOP] for scores in probabilities]
    return [
        [[int(each), round(float(scores[each]), 8)] for each in classes]
        for classes, scores in zip(best, probabilities, strict=True)
    ]


def collect(reader: StoreReader, pictures: Callable[[StoreReader], Pictures]) -> dict[str, Any]:
    """Return all that the page shows.

    Raises:
        StoreError: the store cannot be read, or has no checkpoint yet.
    """
    generation = reader.generation  # before anything else: an empty store has nothing to show
    runs = [_Run.read(reader, run) for run in range(reader.runs)]
    source = pictures(reader)
    rows = [(run, int(class_)) for run in runs for class_ in np.flatnonzero(run.ids >= 0)]
    # One genome may hold many cells: it is drawn once.
    genomes = {(run.number, int(run.ids[class_])): (run, class_) for run, class_ in rows}
    place = {key: at for at, key in enumerate(genomes)}
    attributes = reader.attributes
    networks = collect_networks(reader, [(run.number, class_) for run, class_ in genomes.values()])
    left = _NETWORKS - len(networks["bytes"]) if networks else BUDGET
    return {
        "store": reader.path.name,
        "path": str(reader.path.path.resolve() if reader.path.is_local else reader.path),
        "pipeline": reader.config.pipeline,
        "network": network_names([reader])[attributes["fingerprint"]],
        "encoding": reader.config.encoding.name,
        "image_size": attributes["image"]["size"],
        "epoch": reader.epoch,
        "generation": generation,
        "generations": reader.config.evolve.generations,
        "complete": reader.complete,
        "runs": reader.runs,
        "classes": list(reader.classes),
        "finding": _finding(runs),
        "summary": _summary(runs),
        "thresholds": [_thresholds(run) for run in runs],
        "band": _band(runs, len(reader.classes)),
        "curves": _curves(runs, reader.config.evolve.generations_per_epoch),
        "statistics": _statistics(runs, reader.config),
        "elites": _elites(reader.operators, rows, place),
        "pictures": source.elites(genomes),
        "lineages": collect_lineages(
            [(run.number, class_, run.genealogy) for run, class_ in rows],
            source.ancestor,
            programs_of(reader, source.genome),
            min(BUDGET, max(left, BUDGET // 10)),
        ),
        "networks": networks,
        "held_out": _held_out(reader, rows),
        "takeovers": collect_takeovers(reader),
        "growth": collect_growth(reader, runs[0].genealogy, source.ancestor),
        "topology": collect_topology(reader),
        "islands": _islands(runs),
        "migrations": _migrations(reader),
        "config": reader.config.model_dump(mode="json"),
        "provenance": {
            "created": attributes["created"],
            "checkpoint": reader.session.snapshot_id,
            "seed": attributes["seed"],
            "fingerprint": attributes["fingerprint"],
            "git_commit": attributes["git_commit"],
            "versions": attributes["versions"],
            "conditions": list(reader.conditions),
        },
    }


def _summary(runs: list[_Run]) -> dict[str, float]:
    confidence = np.concatenate([run.confidence for run in runs])
    switches = [run.genealogy.goal_switches() for run in runs]
    takeovers = sum(int(each.takeovers.sum()) for each in switches)
    return {
        "median": float(np.median(confidence)),
        "mean": float(confidence.mean(dtype=np.float64)),
        "median_at_start": float(np.median(np.concatenate([run.curves[0] for run in runs]))),
        "cells": int(sum((run.ids >= 0).sum() for run in runs)),
        "genomes": int(sum(len(np.unique(run.ids[run.ids >= 0])) for run in runs)),
        "evaluations": sum(run.evaluations for run in runs),
        "goal_switches": sum(int(each.switches.sum()) for each in switches) / max(1, takeovers),
    }


def _finding(runs: list[_Run]) -> str:
    """Say of how many classes some run is sure: at 90 %, or at the next level that some reach and not all."""
    best = np.max([run.confidence for run in runs], axis=0)
    fooled = [int((best >= np.float32(least)).sum()) for least in _LEVELS]
    telling = [at for at, count in enumerate(fooled) if 0 < count < len(best)]
    at = min(telling or [_USUAL], key=lambda at: abs(at - _USUAL))
    return f"{fooled[at]:,} of {len(best):,} classes fooled at {level(_LEVELS[at])}"


def _thresholds(run: _Run) -> dict[str, float]:
    confidence = run.confidence
    return {
        "run": run.number,
        "evaluations": run.evaluations,
        "median": float(np.median(confidence)),
        **{name: int((confidence >= np.float32(least)).sum()) for name, least in THRESHOLDS.items()},
    }


def _band(runs: list[_Run], k: int) -> dict[str, float] | None:
    """Compare dogs and cats (classes 157 to 286 of ImageNet), of which the paper's section 3.4 speaks."""
    if k != 1000:
        return None
    confidence = np.stack([run.confidence for run in runs])
    inside = np.zeros(k, bool)
    inside[list(DOGS_AND_CATS)] = True
    return {
        "first": DOGS_AND_CATS.start,
        "last": DOGS_AND_CATS.stop - 1,
        "inside": float(np.median(confidence[:, inside])),
        "outside": float(np.median(confidence[:, ~inside])),
    }


def _curves(runs: list[_Run], per_epoch: int) -> dict[str, Any]:
    epochs = len(runs[0].curves)
    fine, coarse = evenly(epochs, _CURVE_POINTS), evenly(epochs, _CLASS_CURVE_POINTS)
    quartiles = [np.quantile(run.curves[fine], (0.25, 0.5, 0.75), axis=1) for run in runs]
    return {
        "generations": (fine * per_epoch).tolist(),
        "quartiles": [np.round(each.astype(np.float64), 8).tolist() for each in quartiles],
        "class_generations": (coarse * per_epoch).tolist(),
        "classes": [log_odds(run.curves[coarse].T).tolist() for run in runs],
    }


def _statistics(runs: list[_Run], config: RunConfig) -> dict[str, Any]:
    """Return the statistics of each run over images, and those of its archive now; None: of no elites."""
    epochs = len(runs[0].curves)
    shown = evenly(epochs, _CURVE_POINTS)
    ends = [run.ends._asdict() for run in runs]
    return {
        "evaluations": np.array(images_by_epoch(config, epochs))[shown].tolist(),
        "runs": [
            {
                name: values[shown].tolist()
                for name, values in run.statistics._asdict().items()
                if name in _DRAWN
            }
            for run in runs
        ],
        "ends": [
            {name: None if np.isnan(value) else float(value) for name, value in end.items()} for end in ends
        ],
    }


_DRAWN = ("coverage", "qd_score", "normalized_qd_score")


def _elites(
    operators: Sequence[str], rows: list[tuple[_Run, int]], place: dict[tuple[int, int], int]
) -> dict[str, list[Any]]:
    return {
        "run": [run.number for run, _ in rows],
        "class": [class_ for _, class_ in rows],
        "confidence": [float(run.confidence[class_]) for run, class_ in rows],
        "genome": [place[run.number, int(run.ids[class_])] for run, class_ in rows],
        "id": [int(run.ids[class_]) for run, class_ in rows],
        "generation": [int(run.generations[class_]) for run, class_ in rows],
        "island": [int(run.islands[class_]) for run, class_ in rows],
        "operator": [operators[run.operators[class_]] for run, class_ in rows],
        "top": [run.top[class_] for run, class_ in rows],
    }


def _held_out(reader: StoreReader, rows: list[tuple[_Run, int]]) -> list[dict[str, Any]]:
    """Return for each held-out network its scores of the elites, in the order of `rows`; None: not scored."""
    scores = table(reader, "scores")
    place = {(run.number, class_): at for at, (run, class_) in enumerate(rows)}
    found: dict[str, list[list[Any] | None]] = {}
    columns = (scores[name].tolist() for name in _SCORES)
    for run, class_, network, late, *values in zip(*columns, strict=True):
        cells = found.setdefault(network, [None] * len(rows))
        at = place.get((run, class_))
        if at is not None and not late:
            cells[at] = values
    return [{"network": network, "scores": cells} for network, cells in sorted(found.items())]


_SCORES = (
    "run",
    "class",
    "network",
    "late",
    "target_probability",
    "target_rank",
    "top1",
    "top1_probability",
)


def _islands(runs: list[_Run]) -> list[dict[str, int]]:
    made: dict[tuple[int, int], int] = {}
    for run in runs:
        islands, counts = np.unique(run.islands[run.ids >= 0], return_counts=True)
        made |= {(run.number, int(i)): int(n) for i, n in zip(islands, counts, strict=True)}
    return [{"run": run, "island": island, "elites": count} for (run, island), count in made.items()]


def _migrations(reader: StoreReader) -> list[dict[str, Any]]:
    """Count what went from island to island, all runs together."""
    counts: dict[tuple[str, int, int], list[int]] = {}
    for run in range(reader.runs):
        rows = reader.migrations(run)
        keys = np.stack([rows["kind"], rows["sender"], rows["receiver"]], axis=1).astype(np.int64)
        unique, inverse = np.unique(keys, axis=0, return_inverse=True)
        sent = np.bincount(inverse.ravel(), minlength=len(unique))
        accepted = np.bincount(inverse.ravel(), weights=rows["accepted"], minlength=len(unique))
        for key, all_, taken in zip(unique.tolist(), sent.tolist(), accepted.tolist(), strict=True):
            total = counts.setdefault((("claim", "migrant")[key[0]], key[1], key[2]), [0, 0])
            total[0] += all_
            total[1] += int(taken)
    return [
        {"kind": kind, "sender": sender, "receiver": receiver, "sent": sent, "accepted": accepted}
        for (kind, sender, receiver), (sent, accepted) in sorted(counts.items())
    ]
