"""The indirect encoding: compositional pattern-producing networks (CPPNs).

A genome is a feed-forward graph with inputs x, y, distance from the centre and 1, and one output (grey) or
three (colour). Its fields, where zero means absent:

    functions  uint8   (n, N)   one per node: 4 inputs (0), then the outputs, then hidden nodes;
                                1 sine, 2 sigmoid, 3 Gaussian, 4 linear, 0 no such hidden node
    sources    int16   (n, C)   node that a connection comes from
    targets    int16   (n, C)   node that it goes to; 0 no such connection
    weights    float32 (n, C)   gene in [0, 1]; the weight is (2 * gene - 1) * weight_limit

A node's value is f(sum of weight * value); f(0) without connections. f is sin(p), 2 / (1 + exp(-p)) - 1,
exp(-p * p) or clip(p, -3, 3) / 3. A pixel's byte is trunc(|output| * 255). Connections may be parallel, and
a node may lose all of its connections; the only limit of size is that of int16.

Variation is mutation alone, in the released code's order: weights and functions by tensor operations over the
whole batch, structure by a kernel on the CPU and by tensor operations elsewhere. On accelerators it never
waits: genomes are not compacted. Measured on one core of an AMD EPYC, for 200 genomes of 20 hidden nodes:
0.3 ms (all by tensor operations: 1.4 ms).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from islands.devices import Constant, host_waits
from islands.encodings.canvas import Canvas
from islands.encodings.contract import Children, Operator
from islands.encodings.deep import deep_networks
from islands.encodings.draws import uniform
from islands.encodings.fields import INPUTS
from islands.encodings.genomes import Arrays, Genomes
from islands.encodings.polynomial import polynomial_step
from islands.encodings.rendering import renderer_for
from islands.encodings.rendering_torch import render_unrounded
from islands.encodings.settings import CppnSettings
from islands.encodings.structure_cpu import compact_on_cpu, restructure_on_cpu
from islands.encodings.structure_torch import RESTRUCTURE_DRAWS, pick, restructure_by_tensors

CODES = {"sine": 1, "sigmoid": 2, "gaussian": 3, "linear": 4}
DTYPES = {
    "functions": torch.uint8,
    "sources": torch.int16,
    "targets": torch.int16,
    "weights": torch.float32,
}


class CppnEncoding:
    """Implements `islands.encodings.contract.Encoding`; see the module's docstring."""

    name = "cppn"

    def __init__(self, settings: CppnSettings, channels: int, size: int) -> None:
        self.settings = settings
        self.channels = channels
        self.size = size
        self._codes = Constant(
            torch.tensor([CODES[name] for name in settings.activations], dtype=DTYPES["functions"])
        )

    @property
    def seed_steps(self) -> int:
        """See `Seeded`."""
        return self.settings.seed_steps

    @property
    def seed_rate(self) -> float:
        """See `Seeded`."""
        return self.settings.seed_rate

    def random(self, n: int, generator: torch.Generator) -> Genomes:
        """Draw `n` networks; see `CppnSettings.start`."""
        device = generator.device
        if self.settings.start == "deep":
            codes = self._codes.on(device)
            networks = deep_networks(n, self.channels, self.settings.weight_limit, codes, generator)
            return networks if host_waits(device) else self.compact(networks)
        inputs = torch.arange(INPUTS, dtype=torch.int16, device=device)
        outputs = INPUTS + torch.arange(self.channels, dtype=torch.int16, device=device)
        connections = INPUTS * self.channels
        genes = uniform((n, self.channels + connections), generator)
        return Genomes(
            {
                "functions": pad(self._pick_functions(genes[:, : self.channels]), (INPUTS, 0)),
                "sources": inputs.repeat(n, self.channels),
                "targets": outputs.repeat_interleave(INPUTS).repeat(n, 1),
                "weights": genes[:, self.channels :].contiguous(),
            }
        )

    def vary(
        self, parents: Genomes, partners: Genomes, generation: int, generator: torch.Generator
    ) -> Children:
        """Mutate each parent once. `partners` and `generation` have no influence."""
        del partners, generation
        waits = host_waits(parents.device)
        # Draws have the shape of the genomes: padding has a say where finding what is needed takes time.
        children = self._mutate(parents if waits else self.compact(parents), waits, generator)
        operators = torch.full((len(parents),), Operator.MUTATION, dtype=torch.uint8, device=parents.device)
        return Children(children, operators)

    def render(self, genomes: Genomes, size: int | None = None) -> Tensor:
        """Draw the genomes: uint8 (B, channels, size, size); other sizes sample the same area more finely."""
        canvas = Canvas.of(self.settings, self.size, self.size if size is None else size)
        return renderer_for(genomes.device)(
            genomes, self.channels, self.settings.weight_limit, canvas, self.settings.colour
        )

    def genes(self, genomes: Genomes) -> Tensor:
        """Return the genes of the weights; see `Tunable.genes`."""
        return genomes["weights"]

    def present(self, genomes: Genomes) -> Tensor:
        """Say which connections there are; see `Tunable.present`."""
        return genomes["targets"] > 0

    def with_genes(self, genomes: Genomes, genes: Tensor) -> Genomes:
        """Replace the genes of the weights; see `Tunable.with_genes`."""
        return Genomes(genomes.fields | {"weights": genes})

    def levels(self, genomes: Genomes, genes: Tensor) -> Tensor:
        """Return bytes on autograd's tape; see `Tunable.levels`."""
        canvas = Canvas.of(self.settings, self.size, self.size)
        unrounded = render_unrounded(
            self.with_genes(genomes, genes),
            self.channels,
            self.settings.weight_limit,
            canvas,
            self.settings.colour,
        )
        scored = self.render(self.with_genes(genomes, genes.detach()))
        # The difference is exactly 0, and carries the gradient: the values stay those of the bytes.
        return scored.float() + (unrounded - unrounded.detach())

    def hidden_nodes(self, genomes: Genomes) -> Tensor:
        """Count hidden nodes; see `Growing`."""
        return (genomes["functions"] > 0).sum(1) - self.channels

    def compact(self, genomes: Genomes) -> Genomes:
        """Return the same genomes without gaps; see `Encoding.compact`."""
        fields = compact_on_cpu(genomes, self.channels)
        return Genomes({name: torch.from_numpy(array).to(genomes.device) for name, array in fields.items()})

    def to_arrays(self, genomes: Genomes) -> Arrays:
        """Return the fields of the module's docstring, without gaps."""
        return compact_on_cpu(genomes, self.channels)

    def from_arrays(self, arrays: Arrays, device: torch.device) -> Genomes:
        """Invert `to_arrays`; each array may lack trailing columns of zeros."""
        fields = {name: torch.tensor(arrays[name], dtype=dtype) for name, dtype in DTYPES.items()}
        # A connection from node 0 has a zero among its sources.
        length = max(fields[name].shape[1] for name in ("sources", "targets", "weights"))
        for name in ("sources", "targets", "weights"):
            fields[name] = pad(fields[name], (0, length - fields[name].shape[1]))
        return Genomes(fields).to(device)

    def _mutate(self, genomes: Genomes, waits: bool, generator: torch.Generator) -> Genomes:
        rows, connections = genomes["targets"].shape
        free = genomes["functions"].shape[1] - INPUTS
        draws = uniform((rows, connections + free + RESTRUCTURE_DRAWS), generator)
        for_weights, for_functions, single = draws.tensor_split([connections, connections + free], 1)
        weights = self._mutate_weights(genomes["weights"], genomes["targets"] > 0, for_weights)
        functions = self._mutate_functions(genomes["functions"], for_functions)
        mutated = Genomes(genomes.fields | {"weights": weights, "functions": functions})
        restructure = restructure_by_tensors if waits else restructure_on_cpu
        return restructure(mutated, self.channels, self.settings, self._codes.on(draws.device), single)

    def _mutate_weights(self, weights: Tensor, present: Tensor, uniform: Tensor) -> Tensor:
        rate = self.settings.weight_rate
        # Below the rate, uniform / rate is uniform again: one draw decides whether and how far.
        # Elsewhere the step may be NaN, and is not used. 1e-9 is for a rate of 0, at which nothing mutates.
        steps = polynomial_step(uniform / max(rate, 1e-9), self.settings.weight_eta)
        return torch.where((uniform < rate) & present, (weights + steps).clamp(0, 1), weights)

    def _mutate_functions(self, functions: Tensor, uniform: Tensor) -> Tensor:
        rate = self.settings.function_rate
        # Outputs have a function that evolves, too, as in the released code.
        old = functions[:, INPUTS:]
        hit = (uniform < rate) & (old > 0)
        new = torch.where(hit, self._pick_functions(uniform / max(rate, 1e-9)), old)
        return torch.cat([functions[:, :INPUTS], new], 1)

    def _pick_functions(self, uniform: Tensor) -> Tensor:
        return pick(self._codes.on(uniform.device), uniform)
