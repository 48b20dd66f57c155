"""Structural mutation and compaction of CPPNs on the CPU: numba kernels over one genome after the other.

Both give the bits of tensor operations over the batch, of which mutation's are in `structure_torch`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from islands.devices import host_waits
from islands.encodings.fields import FIELDS, INPUTS, Booleans, Bytes, Floats, Indices, Longs
from islands.encodings.genomes import Arrays, Genomes
from islands.encodings.kernels import kernel
from islands.encodings.settings import CppnSettings

NOWHERE = -1

UNBOUNDED = 1 << 15
"""More nodes than int16 can name."""


def restructure_on_cpu(
    genomes: Genomes, outputs: int, rates: CppnSettings, codes: Tensor, uniform: Tensor
) -> Genomes:
    """Add and delete a connection and a node, each at its rate; see `restructure_by_tensors`."""
    # `pad` copies, so that the kernel writes into the children alone.
    children = Genomes({name: pad(genomes[name], (0, 1 if name == "functions" else 2)) for name in FIELDS})
    limits = np.array(
        [
            rates.add_connection_rate,
            rates.delete_connection_rate,
            rates.add_node_rate,
            rates.delete_node_rate,
        ],
        np.float32,
    )
    functions, sources, targets, weights = (children[name].numpy() for name in FIELDS)
    most = UNBOUNDED if rates.max_nodes is None else rates.max_nodes
    draws = codes.numpy(), uniform.numpy()
    restructure_rows(functions, sources, targets, weights, outputs, limits, most, *draws)
    return children


def compact_on_cpu(genomes: Genomes, outputs: int) -> Arrays:
    """Return genomes of any device as arrays, what is present moved to the front and the rest cut off."""
    functions, sources, targets, weights = _on_host(genomes)
    fixed = INPUTS + outputs
    nodes = fixed + np.count_nonzero(functions[:, fixed:], axis=1).max(initial=0)
    connections = np.count_nonzero(targets, axis=1).max(initial=1)
    rows = len(functions)
    packed = (
        np.zeros((rows, nodes), np.uint8),
        np.zeros((rows, connections), np.int16),
        np.zeros((rows, connections), np.int16),
        np.zeros((rows, connections), np.float32),
    )
    pack_rows(functions, sources, targets, weights, fixed, *packed)
    return dict(zip(FIELDS, packed, strict=True))


def _on_host(genomes: Genomes) -> tuple[Bytes, Indices, Indices, Floats]:
    """Return the fields as arrays; where the host waits for a device, it waits once."""
    functions, sources, targets, weights = (genomes[name] for name in FIELDS)
    if not host_waits(genomes.device):
        return functions.numpy(), sources.numpy(), targets.numpy(), weights.numpy()
    as_indices = (functions.to(torch.int16), sources, targets, weights.contiguous().view(torch.int16))
    widths = np.cumsum([part.shape[1] for part in as_indices])[:-1]
    parts = np.split(torch.cat(as_indices, 1).cpu().numpy(), widths, axis=1)
    f, s, t, w = (np.ascontiguousarray(part) for part in parts)
    return f.astype(np.uint8), s, t, w.view(np.float32)


@kernel
def pack_rows(
    functions: Bytes,
    sources: Indices,
    targets: Indices,
    weights: Floats,
    fixed: int,
    packed_functions: Bytes,
    packed_sources: Indices,
    packed_targets: Indices,
    packed_weights: Floats,
) -> None:
    """Write genomes without gaps into arrays of zeros; the first `fixed` nodes are always there."""
    places = np.zeros(functions.shape[1], np.int16)
    for row in range(functions.shape[0]):
        node = 0
        for old in range(functions.shape[1]):
            if old < fixed or functions[row, old] > 0:
                packed_functions[row, node] = functions[row, old]
                places[old] = node
                node += 1
        connection = 0
        for old in range(targets.shape[1]):
            if targets[row, old] > 0:
                packed_sources[row, connection] = places[sources[row, old]]
                packed_targets[row, connection] = places[targets[row, old]]
                packed_weights[row, connection] = weights[row, old]
                connection += 1


@kernel
def restructure_rows(
    functions: Bytes,
    sources: Indices,
    targets: Indices,
    weights: Floats,
    outputs: int,
    limits: Floats,
    most: int,
    codes: Bytes,
    uniform: Floats,
) -> None:
    """Mutate n genomes in place, whose last node and last two connections are absent."""
    nodes, connections = functions.shape[1], targets.shape[1]
    allowed = np.empty(nodes, np.uint8)
    for row in range(functions.shape[0]):
        f, s, t, w, u = functions[row], sources[row], targets[row], weights[row], uniform[row]
        grows = np.count_nonzero(f[INPUTS + outputs :]) < most
        # In the released code's order. Each decision has its own draws, whether or not those before it fired.
        if grows and u[0] < limits[0]:
            place = connections - 2
            mark_senders(f, outputs, allowed)
            s[place] = choose(allowed, u[1])
            mark_receivers(f, s, t, s[place], allowed)
            t[place] = choose(allowed, u[2])
            w[place] = u[3]
        if u[4] < limits[1]:
            place = choose(t, u[5])
            if place != NOWHERE:
                disconnect(s, t, w, place)
        if grows and u[6] < limits[2]:
            split = choose(t, u[7])
            if split != NOWHERE:
                node, place = nodes - 1, connections - 1
                f[node] = codes[min(int(u[8] * np.float32(codes.size)), codes.size - 1)]
                s[place], t[place], w[place] = node, t[split], w[split]
                t[split] = node
        if u[9] < limits[3]:
            fixed = INPUTS + outputs
            hidden = choose(f[fixed:], u[10])
            if hidden != NOWHERE:
                node = fixed + hidden
                f[node] = 0
                for place in range(connections):
                    if s[place] == node or t[place] == node:
                        disconnect(s, t, w, place)


@kernel
def mark_senders(functions: Bytes, outputs: int, allowed: Bytes) -> None:
    """Mark all nodes but the outputs."""
    for node in range(functions.size):
        allowed[node] = node < INPUTS or (node >= INPUTS + outputs and functions[node] > 0)


@kernel
def mark_receivers(functions: Bytes, sources: Indices, targets: Indices, source: int, allowed: Bytes) -> None:
    """Mark all nodes but inputs, `source` and those with a path to it."""
    for node in range(functions.size):
        allowed[node] = functions[node] > 0
    ancestors = np.zeros(functions.size, np.bool_)
    ancestors[source] = True
    allowed[source] = False
    grows = True
    # Connections lie in any order: an ancestor may be found only after its own sources were passed.
    while grows:
        grows = False
        for place in range(targets.size):
            if targets[place] > 0 and ancestors[targets[place]] and not ancestors[sources[place]]:
                ancestors[sources[place]] = True
                allowed[sources[place]] = False
                grows = True


@kernel
def choose(values: Bytes | Indices, uniform: np.float32) -> int:
    """Choose a place where `values` is not zero by `uniform` in [0, 1); -1 where there is none."""
    count = int(np.count_nonzero(values))
    # In float32, as torch has it: the product may round up to the count.
    rank = min(int(uniform * np.float32(count)), count - 1)
    for place in range(values.size):
        if values[place] != 0:
            if rank == 0:
                return place
            rank -= 1
    return NOWHERE


@kernel
def disconnect(sources: Indices, targets: Indices, weights: Floats, place: int) -> None:
    """Take a connection away."""
    sources[place], targets[place], weights[place] = 0, 0, 0


@kernel
def mark_needed_rows(sources: Longs, targets: Longs, needed: Booleans) -> None:
    """Mark in `needed` (n, N) all nodes from which a path leads to a node that is marked."""
    for row in range(targets.shape[0]):
        grows = True
        # Connections lie in any order, as in `mark_receivers`.
        while grows:
            grows = False
            for place in range(targets.shape[1]):
                source = sources[row, place]
                if targets[row, place] > 0 and needed[row, targets[row, place]] and not needed[row, source]:
                    needed[row, source] = True
                    grows = True
