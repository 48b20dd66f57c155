"""The networks (CPPNs) that draw, as the page takes them: it draws them itself, at any size."""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from islands.encodings.settings import CppnSettings
from islands.evolution.elites import Arrays
from islands.reports.network_drawing import connections_of
from islands.store.reader import StoreReader


class Program(NamedTuple):
    """A network that draws.

    Attributes:
        content: functions (uint8) of its nodes; then sources, targets (uint16) and genes (float32) of its
            connections, little-endian, one after the other.
        nodes: how many.
        connections: how many.
    """

    content: bytes
    nodes: int
    connections: int


def program_of(genome: Arrays) -> Program:
    """Return the program of a CPPN, whose arrays are each (1, width)."""
    sources, targets, genes = connections_of(genome)
    functions = genome["functions"][0].astype("u1")
    columns = (functions, sources.astype("<u2"), targets.astype("<u2"), genes.astype("<f4"))
    return Program(b"".join(column.tobytes() for column in columns), len(functions), len(sources))


def packed(programs: Iterable[Program | None]) -> dict[str, Any]:
    """Return `sizes`, nodes and connections of one network after the other, and their `bytes`, base64.

    These are deflated: kin stand side by side, and differ in little. None has no bytes.
    """
    sizes: list[int] = []
    parts: list[bytes] = []
    for each in programs:
        content, nodes, connections = each or Program(b"", 0, 0)
        parts.append(content)
        sizes += (nodes, connections)
    return {"sizes": sizes, "bytes": b64encode(zlib.compress(b"".join(parts))).decode()}


def collect_networks(reader: StoreReader, elites: Sequence[tuple[int, int]]) -> dict[str, Any] | None:
    """Return the networks that draw elites, given by run and class, as `packed`; None: no network does.

    With them comes what all have in common.
    """
    encoding = reader.config.encoding
    if not isinstance(encoding, CppnSettings):
        return None
    genomes = [reader.genomes(run) for run in range(reader.runs)]

    def row(run: int, class_: int) -> Arrays:
        return {name: array[class_ : class_ + 1] for name, array in genomes[run].items()}

    return {
        "channels": reader.attributes["image"]["channels"],
        "coordinates": encoding.coordinates,
        "colour": encoding.colour,
        "weight_limit": encoding.weight_limit,
        **packed(program_of(row(run, class_)) for run, class_ in elites),
    }


def programs_of(
    reader: StoreReader, genome: Callable[[int, int], Arrays | None]
) -> Callable[[int, int], Program | None] | None:
    """Return what gives the program of an ancestor, by run and id; None where no network draws.

    Args:
        reader: the store.
        genome: gives the arrays of an ancestor; None where it was not kept.
    """
    if not isinstance(reader.config.encoding, CppnSettings):
        return None

    def program(run: int, id_: int) -> Program | None:
        found = genome(run, id_)
        return None if found is None else program_of(found)

    return program
