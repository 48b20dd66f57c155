"""How much disk and memory a run takes at most, from its configuration and a few measured numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from islands.classifiers.catalogue import NETWORKS, class_count
from islands.config import SMALL_IMAGE, WorkConfig
from islands.evolution.cells import PAPER
from islands.store.digests import BLOCK_ROWS
from islands.store.retention import most_on_disk
from islands.store.schema import (
    ANCESTORS,
    CHUNK_BYTES,
    DIGEST_BYTES,
    ELITES,
    MAIL,
    MIGRATIONS,
    SCORES,
    Column,
    history_schema,
)

GROWTH = 10
"""By how much CPPNs outgrow the first ones: 8 times were measured in 200 generations of LeNet."""

EPOCHS_BETWEEN = 8
"""Between two commits, where durations are not known."""

_COPIES = 8
"""Of the archive, in the driver at once: the islands' states before and after an epoch, the cut with and
without the claims in transit, the checkpoint that is committed and the next, and bytes on their way."""

_COMMIT_OVERHEAD = 1 << 18
"""Bytes of a commit and run beside arrays: Icechunk's snapshot, manifests and log, and the attributes."""

_REFERENCE = 100
"""Bytes by which a chunk adds to these."""


@dataclass(frozen=True)
class SizeBasis:
    """What the estimates rest on.

    Attributes:
        classes: K.
        genome_bytes: of one genome in the first generations.
        taken: the share of its cells that an island's children take in one of the first generations, when it
            is largest.
    """

    classes: int
    genome_bytes: int
    taken: float = 1.0


def guessed(config: WorkConfig) -> SizeBasis:
    """Return what the name of the network and the settings tell without loading it, else that of ImageNet."""
    entry = NETWORKS.get(config.network.name)
    size = config.encoding.size or (entry.input_size if entry else 256)
    pixels = (entry.channels if entry else 3) * size**2
    return SizeBasis(class_count(config.network.name) or 1000, config.encoding.genome_bytes(pixels))


def grown(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return the bytes of one genome at the end."""
    return genomes.genome_bytes * (GROWTH if config.encoding.padded else 1)


def archive_bytes(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return the bytes of all elites of all runs."""
    return config.runs * _cells(config, genomes) * _row(config, genomes)


def mail_bytes(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return the most bytes of mail at a commit: claims, migrants, those that are held, overruled elites."""
    islands, migration = config.islands, config.islands.migration
    letters = 0
    if islands.count > 1:
        claims = _cells(config, genomes) if islands.claims else 0
        letters = islands.lag * (claims + islands.count * migration.size)
        letters += islands.count * migration.capacity + claims
    boards = 4 * islands.lag * _cells(config, genomes)
    return config.runs * (letters * (_row(config, genomes) + _width(MAIL)) + boards)


def records_bytes(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return the most bytes of history, migrations and curves at the end."""
    epochs, islands = config.evolve.epochs, config.islands
    curves = 4 * _cells(config, genomes) * (epochs + 1)
    received = 0
    if islands.count > 1:
        claims = _cells(config, genomes) if islands.claims else 0
        neighbours = islands.count - 1 if islands.migration.type == "broadcast" else 2
        received = epochs * (claims + islands.count * islands.migration.size * neighbours)
    taken = _taken(config, genomes)
    return config.runs * (curves + taken * _width(_HISTORY) + received * _width(MIGRATIONS))


def ancestors_bytes(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return the most bytes of genomes of ancestors; each of them took a cell."""
    kept = config.checkpoint.ancestors
    small = config.encoding.is_network or genomes.genome_bytes <= SMALL_IMAGE
    if kept == "ids" or (kept == "auto" and not small):
        return 0
    return config.runs * _taken(config, genomes) * (grown(config, genomes) + _width(ANCESTORS) + DIGEST_BYTES)


def store_bytes(config: WorkConfig, genomes: SizeBasis, commits: int) -> int:
    """Return the most bytes of a store while it is written: each commit may have changed all elites."""
    kept = commits if config.checkpoint.keep is None else min(commits, most_on_disk(config.checkpoint.keep))
    archive, records = archive_bytes(config, genomes), records_bytes(config, genomes)
    ancestors = ancestors_bytes(config, genomes)
    # What is added to is written again from the begin of its last chunk.
    tails = sum(BLOCK_ROWS[name] * _width(columns) for name, columns in _ADDED.items()) + CHUNK_BYTES
    again = min(records + ancestors, config.runs * tails)
    scores = len(config.held_out) * config.runs * genomes.classes * _width(SCORES)
    chunks = 3 * config.runs * _cells(config, genomes)
    overhead = config.runs * _COMMIT_OVERHEAD + _REFERENCE * chunks
    each = archive + mail_bytes(config, genomes) + again + scores + overhead
    # Ancestors are written anew when most of them are extinct; the commits before have the others.
    return kept * each + records + 2 * ancestors


def driver_bytes(config: WorkConfig, genomes: SizeBasis, epochs_between: int) -> int:
    """Return the most bytes that the driver holds of islands, mail and records, beside its programs.

    Args:
        config: the run.
        genomes: see there.
        epochs_between: two commits.
    """
    archive, mail = archive_bytes(config, genomes), mail_bytes(config, genomes)
    generations = min(1.0, genomes.taken * config.evolve.generations_per_epoch)
    pending = int(archive * generations * epochs_between)
    new = records_bytes(config, genomes) * epochs_between // max(1, config.evolve.epochs)
    return _COPIES * archive + pending + 3 * mail + 2 * ancestors_bytes(config, genomes) + new


_HISTORY = history_schema(PAPER)
_ADDED = {"history": _HISTORY, "migrations": MIGRATIONS}


def _cells(config: WorkConfig, genomes: SizeBasis) -> int:
    return genomes.classes * config.evolution.layout.per_class


def _row(config: WorkConfig, genomes: SizeBasis) -> int:
    return 4 * genomes.classes + grown(config, genomes) + _width(ELITES) + 2 * DIGEST_BYTES


def _taken(config: WorkConfig, genomes: SizeBasis) -> int:
    """Return how often the cells of a run are taken at most: never more often than in the beginning.

    Direct genomes keep that up for long. CPPNs stay below the root of the generations by a factor of two:
    measured were 32 times a cell in 200 generations of LeNet, 9 times in 300 of a network of 1000 classes.
    """
    generations: float = config.evolve.generations
    if config.encoding.padded:
        generations = min(generations, 4 * generations**0.5)
    by_children = genomes.taken * generations
    by_mail = config.evolve.epochs if config.islands.count > 1 and config.islands.claims else 0
    return int(_cells(config, genomes) * (1 + by_children + by_mail))


def _width(columns: Mapping[str, Column]) -> int:
    """Return the bytes of a row of columns but for those as wide as there are classes or digests."""
    return sum(
        column.dtype().itemsize * (2 if column.dimensions == ("parent",) else 1)
        for column in columns.values()
        if column.dimensions in ((), ("parent",))
    )
