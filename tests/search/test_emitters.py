"""What every emitter promises, and what the operators on networks make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier
from islands.encodings import graphs
from islands.encodings.contract import Encoding, Operator
from islands.encodings.cppn import CppnEncoding
from islands.encodings.factory import build_encoding
from islands.encodings.genomes import Genomes
from islands.encodings.programs import paths_between
from islands.encodings.settings import CppnSettings, DctSettings, DirectSettings
from islands.errors import ConfigError, NetworkError
from islands.search import choices
from islands.search.choices import EmitterSettings, TransformSettings
from islands.search.contract import Emitter, Offspring
from islands.search.emitters import build_emitters, coordinates, joined
from islands.search.population import IslandPopulation
from islands.testing import EmitterTests, evolved, same
from tests.conftest import examples
from tests.encodings import naive
from tests.encodings.test_contract import assert_valid

CPU = torch.device("cpu")

ENCODINGS: dict[str, DirectSettings | DctSettings | CppnSettings] = {
    "direct": DirectSettings(crossover_rate=0.5),
    "dct": DctSettings(frequencies=8),
    "cppn": CppnSettings(start="deep", coordinates="normalized", max_nodes=40),
}

EMITTERS: dict[str, EmitterSettings] = {
    "mutation": choices.MutationSettings(),
    "fine": choices.FineSettings(),
    "crossover": choices.CrossoverSettings(),
    "warp": choices.WarpSettings(),
    "transform": choices.TransformSettings(),
    "gradient": choices.GradientSettings(steps=3),
}

OF_TWO = {Operator.CROSSOVER, Operator.WARP}

NAMES = {
    "mutation": {Operator.MUTATION, Operator.CROSSOVER},
    "fine": {Operator.FINE},
    "crossover": {Operator.CROSSOVER, Operator.FINE},
    "warp": {Operator.WARP, Operator.FINE},
    "transform": {Operator.TRANSFORM, Operator.FINE},
    "gradient": {Operator.GRADIENT},
}


class Colourful:
    """LeNet, which looks at the mean of three colours."""

    def __init__(self) -> None:
        self._inner = load_classifier("lenet-mnist", device=CPU)

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    channels, mean = 3, (0.5,)

    def logits(self, pixels: Tensor) -> Tensor:
        grey = pixels.mean(1, keepdim=True)
        found: Tensor = self._inner.logits(grey)  # type: ignore[attr-defined]
        return found


def built(emitter: str, encoding: Encoding) -> Emitter:
    network: Classifier = Colourful()  # type: ignore[assignment]
    return build_emitters([EMITTERS[emitter]], encoding, network)[0][1]


def population(encoding: Encoding, held: bool = True) -> IslandPopulation:
    return EmitterTests().population(encoding, held=held)


CASES = [
    # Gradients of deep networks take their time.
    pytest.param(
        (emitter, encoding), marks=[pytest.mark.slow] if (emitter, encoding) == ("gradient", "cppn") else []
    )
    for emitter, settings_ in EMITTERS.items()
    for encoding in ENCODINGS
    if not settings_.networks_only or encoding == "cppn"
]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request: pytest.FixtureRequest) -> tuple[str, Encoding]:
    emitter, encoding = request.param
    return emitter, build_encoding(ENCODINGS[encoding], 3, 28)


def emit(case: tuple[str, Encoding], visits: int = 5, seed: int = 1) -> Offspring:
    name, encoding = case
    emitter = built(name, encoding)
    # As a worker does it.
    with torch.inference_mode():
        return emitter.emit(population(encoding), visits, 1, torch.Generator().manual_seed(seed))


class TestOurs(EmitterTests):
    @pytest.fixture
    def settings(self, case: tuple[str, Encoding]) -> EmitterSettings:
        return EMITTERS[case[0]]

    @pytest.fixture
    def encoding(self, case: tuple[str, Encoding]) -> Encoding:
        return case[1]

    @pytest.fixture
    def classifier(self) -> Classifier:
        network: Classifier = Colourful()  # type: ignore[assignment]
        return network

    def check(self, genomes: Genomes, encoding: Encoding) -> None:
        assert_valid(genomes, encoding)


class TestFamilies:
    @pytest.mark.parametrize("visits", [1, 5])
    def test_children_are_genomes_with_parents(self, case: tuple[str, Encoding], visits: int) -> None:
        name, encoding = case
        made = emit(case, visits)
        n = len(made.children.genomes)
        gradients = 3 * visits if name == "gradient" else 0
        assert n + 3 * gradients == visits * EMITTERS[name].images
        assert made.parents.shape == (n, 2)
        assert made.children.operators.dtype == torch.uint8
        assert set(made.children.operators.tolist()) <= NAMES[name]
        assert_valid(made.children.genomes, encoding)
        known = {*population(encoding).cell_ids.tolist(), *range(100, 105)}
        assert set(made.parents[:, 0].tolist()) <= known
        for operator, partner in zip(made.children.operators, made.parents[:, 1].tolist(), strict=True):
            assert (partner in known) == (int(operator) in OF_TWO)
            assert partner in known or partner == -1

    def test_turns_are_counted_where_parents_were_asked_for(self, case: tuple[str, Encoding]) -> None:
        name, encoding = case
        island = population(encoding)
        built(name, encoding).emit(island, 7, 1, torch.Generator().manual_seed(3))
        ids = torch.cat([island.cell_ids, island.held_ids]).numpy()
        _, rows = np.unique(ids, return_index=True)
        assert int(island.children[rows].sum()) == (0 if name == "gradient" else 7)


def test_children_of_several_emitters_are_one_brood() -> None:
    parts = [emit((name, build_encoding(ENCODINGS["cppn"], 3, 28)), 4) for name in ("fine", "warp")]
    both = joined(parts)
    assert len(both.children.genomes) == 8
    encoding = build_encoding(ENCODINGS["cppn"], 3, 28)
    images = encoding.render(both.children.genomes)
    for part, own in zip(parts, images.split(4), strict=True):
        assert torch.equal(encoding.render(part.children.genomes), own)


def test_what_does_not_fit_is_refused() -> None:
    direct = build_encoding(ENCODINGS["direct"], 3, 8)
    with pytest.raises(ConfigError, match="got the emitter warp for the encoding direct; expected cppn"):
        built("warp", direct)
    labels = load_classifier("label-only:lenet-mnist", device=CPU)
    with pytest.raises(NetworkError, match="without gradients"):
        build_emitters([EMITTERS["gradient"]], direct, labels)


def test_grey_images_exchange_no_outputs() -> None:
    encoding = build_encoding(CppnSettings(), 1, 28)
    network = load_classifier("lenet-mnist", device=CPU)
    found = build_emitters([EMITTERS["mutation"], EMITTERS["crossover"]], encoding, network)
    assert [emitter.name for emitter, _ in found] == ["mutation"]


def test_a_gradient_raises_the_class_that_it_climbs_for() -> None:
    encoding, network = build_encoding(DirectSettings(), 1, 28), load_classifier("lenet-mnist", device=CPU)
    emitter = build_emitters([EMITTERS["gradient"]], encoding, network)[0][1]
    island = population(encoding)
    island.classes, island.confidence = torch.arange(2, 12), torch.tensor([1.0] * 4 + [0.0] + [1.0] * 5)
    made = emitter.emit(island, 1, 1, torch.Generator().manual_seed(4))
    assert made.parents[:, 0].tolist() == [7, 7, 7]
    start = island.cells.take(torch.tensor([4]))
    points = Genomes.concatenate([start, made.children.genomes])
    found = network.predict(encoding.render(points)).logits.log_softmax(1)[:, 6].tolist()
    assert found == sorted(found)


def _outputs(genomes: Genomes, row: int, x: float, y: float) -> list[float]:
    return naive.evaluate(genomes, row, x, y, float(np.hypot(x, y)), 3)


def _pair(seed: int) -> tuple[Genomes, Genomes]:
    encoding = CppnEncoding(CppnSettings(start="deep"), 3, 8)
    return evolved(encoding, 4, seed % 5, seed), evolved(encoding, 4, seed % 4, seed + 1)


POINT = st.floats(-1, 1)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**30), x=POINT, y=POINT, data=st.data())
def test_exchanged_outputs_are_the_partners(seed: int, x: float, y: float, data: st.DataObject) -> None:
    parents, partners = _pair(seed)
    chosen = torch.tensor(
        data.draw(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=4, max_size=4))
    )
    children = graphs.exchange(parents, partners, 3, chosen)
    for row in range(4):
        own, other = _outputs(parents, row, x, y), _outputs(partners, row, x, y)
        expected = [other[i] if chosen[row, i] else own[i] for i in range(3)]
        assert _outputs(children, row, x, y) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**30), x=POINT, y=POINT, axis=st.integers(0, 1), output=st.integers(0, 2))
def test_a_warp_displaces_a_coordinate(seed: int, x: float, y: float, axis: int, output: int) -> None:
    parents, partners = _pair(seed)
    # Small, so that no weight is clipped.
    factor = torch.full((4,), 0.01)
    children = graphs.displace(parents, partners, 3, torch.full((4,), output), torch.full((4,), axis), factor)
    for row in range(4):
        moved = [x, y]
        moved[axis] += 0.01 * _outputs(partners, row, x, y)[output]
        expected = naive.evaluate(parents, row, moved[0], moved[1], float(np.hypot(x, y)), 3)
        assert _outputs(children, row, x, y) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**30), x=POINT, y=POINT, kind=st.integers(0, 3), size=st.floats(-1, 1))
def test_a_transform_moves_the_picture(seed: int, x: float, y: float, kind: int, size: float) -> None:
    parents, _ = _pair(seed)
    # Weights far from their bounds, so that none is clipped.
    parents = Genomes(parents.fields | {"weights": 0.5 + (parents["weights"] - 0.5) * 0.2})
    small = TransformSettings(zoom=0.2, turn=0.5, shift=0.2, stretch=0.2)
    n = torch.full((4,), size)
    matrix = coordinates(
        small, torch.full((4,), kind), torch.zeros(4, dtype=torch.int64), torch.stack([n, n], 1)
    )
    children = graphs.recoordinate(parents, 3, matrix)
    at, distance = [x, y], float(np.hypot(x, y))
    if kind == 0:
        at, distance = [value * np.exp(0.2 * size) for value in at], distance * np.exp(0.2 * size)
    elif kind == 1:
        angle = 0.5 * size
        at = [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)]
    elif kind == 2:
        at = [value + 0.2 * size for value in at]
    else:
        at = [x * np.exp(0.2 * size), y]
    for row in range(4):
        expected = naive.evaluate(parents, row, at[0], at[1], distance, 3)
        assert _outputs(children, row, x, y) == pytest.approx(expected, abs=1e-3)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**30))
def test_packing_by_tensors_is_compaction(seed: int) -> None:
    encoding = CppnEncoding(CppnSettings(start="deep"), 3, 8)
    parents, partners = _pair(seed)
    children = graphs.exchange(parents, partners, 3, torch.tensor([[True, False, True]]).repeat(4, 1))
    packed = encoding.compact(children)
    nodes, connections = (packed[name].shape[1] for name in ("functions", "targets"))
    assert same(graphs.pack(children, nodes, connections), packed)


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**30))
def test_ancestors_by_kernel_are_those_by_paths(seed: int) -> None:
    own = graphs.graphs_of(_pair(seed)[0])
    wanted = torch.rand(own.functions.shape, generator=torch.Generator().manual_seed(seed)) < 0.1
    paths = paths_between(own.sources, own.targets, wanted.shape[1])
    by_paths = (paths & wanted[:, :, None]).any(1)
    found = graphs.ancestors_of(own, wanted)
    # Absent connections lead from node 0 to itself, which adds nothing.
    assert torch.equal(found, by_paths)


def test_networks_stay_within_their_bound() -> None:
    encoding = CppnEncoding(ENCODINGS["cppn"], 3, 8)  # type: ignore[arg-type]
    genomes, stream = encoding.random(10, torch.Generator().manual_seed(1)), torch.Generator().manual_seed(2)
    makers = [built(name, encoding) for name in ("mutation", "crossover", "warp", "transform")]
    for generation in range(40):
        island = population(encoding)
        island.cells = genomes
        genomes = makers[generation % 4].emit(island, 10, 1, stream).children.genomes
    hidden = graphs.hidden_nodes(genomes, 3)
    assert 20 < hidden.float().mean() <= 45
    assert hidden.max() <= 45
