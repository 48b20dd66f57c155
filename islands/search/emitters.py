"""Emitters that vary the parents which they are given; see `islands.search.choices` for what each does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.devices import host_waits
from islands.encodings import graphs
from islands.encodings.contract import Children, Encoding, Operator, require_tunable
from islands.encodings.cppn import CppnEncoding
from islands.encodings.draws import integers, normal, uniform
from islands.encodings.fields import INPUTS
from islands.encodings.fine import fine_steps
from islands.encodings.genomes import Genomes, Replacement
from islands.errors import ConfigError
from islands.extensions.foreign import told
from islands.search.choices import (
    FIRST_OWN,
    EmitterSettings,
    FineSettings,
    MutationSettings,
    TransformSettings,
    WarpSettings,
    own_emitters,
)
from islands.search.contract import Emitter, Mates, Offspring, Population
from islands.search.shares import visits

NODES = 160
"""Hidden nodes that a CPPN of two parents may have, where its encoding sets no bound."""

CONNECTIONS_PER_NODE = 8
"""Likewise connections, for each of these nodes. Evolved ones have about 5."""


class Mutation:
    """What the encoding itself does (paper)."""

    def __init__(self, _settings: MutationSettings, encoding: Encoding, _classifier: Classifier) -> None:
        self._encoding = encoding

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make children; see `Emitter.emit`."""
        mates = population.mates(visits, generator)
        children = self._encoding.vary(mates.parents, mates.partners, generation, generator)
        if len(children.genomes) != visits or len(children.operators) != visits:
            raise ConfigError(
                f"encoding {self._encoding.name}: vary gave {len(children.genomes)} children for {visits} "
                "parents; expected one for each"
            )
        crossed = children.operators == Operator.CROSSOVER
        return Offspring(children, _pairs(mates, crossed))


class Fine:
    """Small steps; see `islands.encodings.fine`."""

    def __init__(self, settings: FineSettings, encoding: Encoding, _classifier: Classifier) -> None:
        self._settings = settings
        self._encoding = encoding
        self._tunable = require_tunable(encoding)

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make children; see `Emitter.emit`."""
        del generation
        mates = population.mates(visits, generator)
        parents = narrow(self._encoding, mates.parents)
        settings = self._settings
        genomes = fine_steps(self._tunable, parents, generator, settings.smallest, settings.largest)
        operators = torch.full_like(mates.ids, Operator.FINE, dtype=torch.uint8)
        return Offspring(Children(genomes, operators), _pairs(mates, operators != Operator.FINE))


class _OfNetworks:
    """What emitters have in common whose children are CPPNs of a new structure.

    A child that has grown beyond all bounds gives way to one of small steps.
    """

    operator: Operator
    two_parents: bool

    def __init__(self, settings: EmitterSettings, encoding: Encoding, _classifier: Classifier) -> None:
        self._encoding = network_encoding(encoding, settings)
        most = self._encoding.settings.max_nodes
        self._nodes = NODES if most is None else most + most // 7
        self._connections = CONNECTIONS_PER_NODE * self._nodes

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make children; see `Emitter.emit`."""
        del generation
        mates = population.mates(visits, generator)
        narrowed = mates._replace(
            parents=narrow(self._encoding, mates.parents), partners=narrow(self._encoding, mates.partners)
        )
        children = self._vary(narrowed, generator)
        small = fine_steps(self._encoding, narrowed.parents, generator)
        hidden = graphs.hidden_nodes(children, self._encoding.channels)
        too_large = (hidden > self._nodes) | ((children["targets"] > 0).sum(1) > self._connections)
        rows = torch.arange(visits, device=too_large.device)
        children.replace(Replacement(too_large, rows), small)
        operators = torch.where(too_large, int(Operator.FINE), int(self.operator)).to(torch.uint8)
        joined = ~too_large & self.two_parents
        return Offspring(Children(self._narrowest(children, mates.parents), operators), _pairs(mates, joined))

    def _vary(self, mates: Mates, generator: torch.Generator) -> Genomes:
        raise NotImplementedError

    def _narrowest(self, children: Genomes, parents: Genomes) -> Genomes:
        """Return the children as narrow as can be known without reading: parents may be wider than bounds."""
        if not host_waits(children.device):
            return self._encoding.compact(children)
        fixed = INPUTS + self._encoding.channels
        nodes = max(fixed + self._nodes, parents["functions"].shape[1])
        return graphs.pack(children, nodes, max(self._connections, parents["targets"].shape[1]))


class Crossover(_OfNetworks):
    """One or two outputs come from the partner."""

    operator, two_parents = Operator.CROSSOVER, True

    def _vary(self, mates: Mates, generator: torch.Generator) -> Genomes:
        n, outputs = len(mates.ids), self._encoding.channels
        dice = uniform((n, outputs + 1), generator)
        number = torch.where(dice[:, :1] < 0.5, 1, 2)
        chosen = dice[:, 1:].argsort(dim=1, stable=True).argsort(dim=1, stable=True) < number
        return graphs.exchange(mates.parents, mates.partners, outputs, chosen)


class Warp(_OfNetworks):
    """An output of the partner displaces a coordinate."""

    operator, two_parents = Operator.WARP, True

    def __init__(self, settings: WarpSettings, encoding: Encoding, classifier: Classifier) -> None:
        super().__init__(settings, encoding, classifier)
        self._reach = settings.reach

    def _vary(self, mates: Mates, generator: torch.Generator) -> Genomes:
        n, outputs = len(mates.ids), self._encoding.channels
        chosen = integers(outputs, (n,), generator)
        axis = integers(2, (n,), generator)
        factor = self._reach * normal((n,), generator)
        return graphs.displace(mates.parents, mates.partners, outputs, chosen, axis, factor)


class Transform(_OfNetworks):
    """One change of the coordinates."""

    operator, two_parents = Operator.TRANSFORM, False

    def __init__(self, settings: TransformSettings, encoding: Encoding, classifier: Classifier) -> None:
        super().__init__(settings, encoding, classifier)
        self._settings = settings

    def _vary(self, mates: Mates, generator: torch.Generator) -> Genomes:
        n = len(mates.ids)
        kind = integers(4, (n,), generator)
        axis = integers(2, (n,), generator)
        moves = normal((n, 2), generator)
        return graphs.recoordinate(
            mates.parents, self._encoding.channels, coordinates(self._settings, kind, axis, moves)
        )


def coordinates(settings: TransformSettings, kind: Tensor, axis: Tensor, normal: Tensor) -> Tensor:
    """Return the matrices of `graphs.recoordinate`, float32 (n, 4, 4).

    The distance from the centre, which is an input as well, is zoomed with the rest; elsewhere it stays.

    Args:
        settings: how far.
        kind: int64 (n,): 0 zoom, 1 turn, 2 shift, 3 stretch.
        axis: int64 (n,): that is stretched.
        normal: float32 (n, 2), standard normal.
    """
    n, device = len(kind), kind.device
    matrix = torch.eye(INPUTS, device=device).repeat(n, 1, 1)
    zoom = torch.where(kind == 0, (settings.zoom * normal[:, 0]).exp(), 1)
    stretch = (settings.stretch * normal[:, 0]).exp()
    angle = torch.where(kind == 1, settings.turn * normal[:, 0], 0)
    for row in range(2):
        scale = zoom * torch.where((kind == 3) & (axis == row), stretch, 1)
        matrix[:, row, row] = scale * angle.cos()
        matrix[:, row, 1 - row] = angle.sin() * (1 if row == 1 else -1)
        matrix[:, row, 3] = torch.where(kind == 2, settings.shift * normal[:, row], 0)
    matrix[:, 2, 2] = zoom
    return matrix


def build_emitters(
    settings: Sequence[EmitterSettings], encoding: Encoding, classifier: Classifier
) -> list[tuple[EmitterSettings, Emitter]]:
    """Build what `settings` describe, but for what grey images have no use for.

    Raises:
        ConfigError: an emitter does not go with the encoding.
        NetworkError: one needs gradients, and `classifier` has none.
    """
    own = own_emitters(settings)
    built = []
    for each in settings:
        if encoding.channels == 1 and each.colours_only:
            continue
        with told(f"emitter {each.name}: building it failed with", "mend that first", ConfigError):
            emitter = each.build(encoding, classifier)
        if each.name in own:
            emitter = _Labelled(each, emitter, FIRST_OWN + own.index(each.name))
        built.append((each, emitter))
    return built


class _Labelled:
    """Somebody else's emitter, whose children bear the code that stores know it by.

    Raises:
        ConfigError: when it makes more or fewer children than its images pay for, or says not of whom.
    """

    def __init__(self, settings: EmitterSettings, emitter: Emitter, code: int) -> None:
        self._settings = settings
        self._emitter = emitter
        self._code = code

    def emit(
        self, population: Population, visits: int, generation: int, generator: torch.Generator
    ) -> Offspring:
        """Make children; see `Emitter.emit`."""
        made = self._emitter.emit(population, visits, generation, generator)
        n, most = len(made.children.genomes), visits * self._settings.images
        least = visits if self._settings.images == 1 else 1
        if not least <= n <= most or made.parents.shape != (n, 2):
            raise ConfigError(
                f"emitter {self._settings.name}: got {n} children with parents of shape "
                f"{tuple(made.parents.shape)}; expected {least} to {most}, and two parents for each"
            )
        operators = torch.full((n,), self._code, dtype=torch.uint8, device=made.parents.device)
        return Offspring(Children(made.children.genomes, operators), made.parents)


def network_encoding(encoding: Encoding, settings: EmitterSettings) -> CppnEncoding:
    """Return the encoding, as one of networks.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(encoding, CppnEncoding):
        raise ConfigError(f"got the emitter {settings.name} for the encoding {encoding.name}; expected cppn")
    return encoding


def narrow(encoding: Encoding, genomes: Genomes) -> Genomes:
    """Return genomes without gaps where that takes no waiting: draws have their shape."""
    return genomes if host_waits(genomes.device) else encoding.compact(genomes)


def emit(
    emitters: Sequence[tuple[EmitterSettings, Emitter]],
    population: Population,
    images: int,
    scored: int,
    generation: int,
    generator: torch.Generator,
) -> Offspring:
    """Let emitters share the images of a generation.

    Args:
        emitters: as `build_emitters` gives them.
        population: whose children are made.
        images: of the generation.
        scored: images of the run before it; until `from_images` an emitter rests.
        generation: counted from 1.
        generator: of the generation.
    """
    active = [each for each in emitters if each[0].from_images <= scored]
    shares = [settings.share for settings, _ in active]
    costs = [settings.images for settings, _ in active]
    counts = visits(costs, shares, images, generation)
    return joined(
        [
            emitter.emit(population, count, generation, generator)
            for (_, emitter), count in zip(active, counts, strict=True)
            if count
        ]
    )


def joined(parts: Sequence[Offspring]) -> Offspring:
    """Return the children of at least one emitter, one after the other."""
    if len(parts) == 1:
        return parts[0]
    children = Children(
        Genomes.concatenate([part.children.genomes for part in parts]),
        torch.cat([part.children.operators for part in parts]),
    )
    return Offspring(children, torch.cat([part.parents for part in parts]))


def _pairs(mates: Mates, of_two: Tensor) -> Tensor:
    """Return the ids of parents (n, 2): of the partner only where `of_two` (n,) says so."""
    return torch.stack([mates.ids, torch.where(of_two, mates.partner_ids, -1)], dim=1)
