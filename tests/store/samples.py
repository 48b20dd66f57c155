"""Made-up runs: what the archipelago would hand to the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from islands.config import EvolveConfig, NetworkConfig, RunConfig
from islands.encodings.settings import CppnSettings, DirectSettings
from islands.evolution.ancestors import Ancestors
from islands.evolution.checkpoint import Checkpoint, Mail, RunCheckpoint
from islands.evolution.counters import Counters
from islands.evolution.elites import Arrays, Elites
from islands.evolution.records import HISTORY, MIGRATIONS, Rows, Schema
from islands.evolution.scores import HeldOutScores, Scores
from islands.store.writer import StoreWriter

FINGERPRINT = "f" * 64


def make_config(
    store: Path | str, runs: int = 2, encoding: str = "cppn", generations: int = 200
) -> RunConfig:
    """A configuration with 10 generations per epoch."""
    return RunConfig(
        pipeline="sample",
        store=str(store),
        seed=3,
        runs=runs,
        network=NetworkConfig(name="sample"),
        encoding=CppnSettings() if encoding == "cppn" else DirectSettings(),
        evolve=EvolveConfig(generations=generations),
    )


def make_names(k: int) -> list[str]:
    """K class names, not all of them ASCII."""
    return [f"class {number}" if number % 7 else f"clässe, {number}" for number in range(k)]


def make_store(
    path: Path, runs: int = 2, k: int = 10, encoding: str = "cppn", channels: int = 3, size: int = 16
) -> StoreWriter:
    """A store without a checkpoint, open for writing."""
    config = make_config(path, runs, encoding)
    return StoreWriter.create(path, config, make_names(k), FINGERPRINT, channels=channels, size=size)


def make_genomes(generator: np.random.Generator, n: int, width: int) -> Arrays:
    """Two fields of random content, `width` and 2 wide."""
    return {
        "weights": generator.standard_normal((n, width)).astype(np.float32),
        "kinds": generator.integers(0, 9, (n, 2)).astype(np.uint8),
    }


def make_elites(generator: np.random.Generator, n: int, k: int, width: int = 8) -> Elites:
    """`n` filled rows; class i % k for row i."""
    probabilities = generator.random((n, k)).astype(np.float32)
    classes = (np.arange(n) % k).astype(np.int32)
    return Elites(
        cells=classes,
        fitness=probabilities[np.arange(n), classes],
        probabilities=probabilities,
        ids=generator.integers(0, 2**62, n),
        parents=generator.integers(-1, 2**62, (n, 2)),
        operators=generator.integers(0, 3, n).astype(np.uint8),
        islands=generator.integers(0, 4, n).astype(np.int32),
        epochs=generator.integers(0, 9, n).astype(np.int32),
        generations=generator.integers(0, 90, n).astype(np.int32),
        genomes=make_genomes(generator, n, width),
    )


def make_rows(generator: np.random.Generator, schema: Schema, n: int, k: int) -> Rows:
    """`n` rows; every number lies in [0, k), or [0, 2) in narrow columns."""
    rows: Rows = {}
    for name, (dtype, shape) in schema.items():
        if np.issubdtype(dtype, np.floating):
            rows[name] = generator.random((n, *shape)).astype(dtype)
        else:
            rows[name] = generator.integers(0, min(k, 2) if dtype is np.uint8 else k, (n, *shape)).astype(
                dtype
            )
    return rows


def make_mail(generator: np.random.Generator, n: int, k: int, width: int = 8) -> Mail:
    """`n` letters."""
    return Mail(
        kinds=generator.integers(0, 4, n).astype(np.uint8),
        senders=generator.integers(0, 4, n).astype(np.int32),
        receivers=generator.integers(-1, 4, n).astype(np.int32),
        sent=generator.integers(0, 9, n).astype(np.int32),
        elites=make_elites(generator, n, k, width),
        boards=generator.random((2, k)).astype(np.float32),
        counters=make_counters(generator.spawn(1)[0], k),
    )


def make_counters(generator: np.random.Generator, k: int) -> tuple[Counters, ...]:
    """Counters of the one island, or of none.

    With a generator of their own: what else a checkpoint holds is in a file from before there were any.
    """
    ids = np.unique(generator.integers(0, 2**62, k))
    counted = Counters(ids, generator.integers(1, 99, len(ids)).astype(np.int32))
    return (counted,) if generator.random() < 0.5 else ()


def make_ancestors(generator: np.random.Generator, n: int, width: int = 8) -> Ancestors:
    """`n` genomes in the order of ids."""
    ids = np.sort(generator.integers(0, 2**62, n))
    return Ancestors(ids, np.stack([ids - 1, ids - 2], axis=1), make_genomes(generator, n, width))


def make_run(
    generator: np.random.Generator,
    k: int = 10,
    width: int = 8,
    rows: int = 20,
    epochs: int = 1,
    mail: int = 6,
) -> RunCheckpoint:
    """A run of which every elite has changed."""
    return RunCheckpoint(
        elites=make_elites(generator, k, k, width),
        changed=np.ones(k, np.bool_),
        mail=make_mail(generator, mail, k, width),
        history=make_rows(generator, HISTORY, rows, k),
        migrations=make_rows(generator, MIGRATIONS, rows, k),
        curves=generator.random((epochs, k)).astype(np.float32),
        evaluations=int(generator.integers(1, 10**6)),
        ancestors=make_ancestors(generator, 30, width),
    )


def make_checkpoint(seed: int, epoch: int, runs: int = 2, k: int = 10, width: int = 8) -> Checkpoint:
    """A checkpoint that follows from its arguments alone."""
    generator = np.random.default_rng([seed, epoch])
    made = tuple(make_run(generator, k, width) for _ in range(runs))
    return Checkpoint(epoch, made, (make_scores(generator, runs, k),))


def make_scores(
    generator: np.random.Generator, runs: int = 2, k: int = 10, name: str = "a:network", full: bool = False
) -> HeldOutScores:
    """What a held-out network says of every elite."""
    tables = tuple(
        Scores(
            ids=generator.integers(0, 2**62, k),
            epochs=generator.integers(0, 9, k).astype(np.int32),
            target_probability=generator.random(k).astype(np.float32),
            target_rank=generator.integers(1, k + 1, k).astype(np.int32),
            top1=generator.integers(0, k, k).astype(np.int32),
            top1_probability=generator.random(k).astype(np.float32),
            probabilities=generator.random((k, k)).astype(np.float32) if full else None,
        )
        for _ in range(runs)
    )
    return HeldOutScores(name, NetworkConfig(name=name).model_dump(mode="json"), FINGERPRINT, tables)
