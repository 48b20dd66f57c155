"""Conformance suites for what others bring: derive a class, say what is tested, and let pytest run it.

Ours pass the same. Needs pytest.

Example:
    >>> from islands.migration.topologies import Ring
    >>> from islands.testing import TopologyTests
    >>> class TestRing(TopologyTests):
    ...     def settings(self):
    ...         return Ring()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from islands.archipelago.progress import Progress
from islands.classifiers.contract import Classifier
from islands.config import RunConfig
from islands.config.logger_settings import LoggerSettings
from islands.encodings.contract import Encoding, Tunable
from islands.encodings.genomes import Genomes, Replacement
from islands.encodings.settings import CppnSettings
from islands.evolution.elites import Elites
from islands.measures.axes import ArchiveConfig, MeasureSettings
from islands.measures.bins import bins_of
from islands.migration.migrants import ReplacementSettings, SelectionSettings
from islands.migration.topologies import TopologySettings
from islands.migration.topology import Topology, build_topology
from islands.search.choices import EmitterSettings, ParentsSettings
from islands.search.contract import Candidates, Offspring
from islands.search.emitters import build_emitters
from islands.search.parents import counted
from islands.search.population import IslandPopulation

if TYPE_CHECKING:
    import numpy.typing as npt

CPU = torch.device("cpu")


def same(one: Genomes, other: Genomes) -> bool:
    """Tell whether genomes are equal, bit for bit."""
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def evolved(encoding: Encoding, n: int, generations: int, seed: int = 3) -> Genomes:
    """Return `n` genomes after so many generations without selection."""
    generator = torch.Generator().manual_seed(seed)
    genomes = encoding.random(n, generator)
    for generation in range(1, generations + 1):
        partners = genomes.take(torch.arange(n).flip(0))
        genomes = encoding.vary(genomes, partners, generation, generator).genomes
    return genomes


def table_of_elites(fitness: list[float], seen: list[float] | None = None) -> Elites:
    """Return elites of different genomes, each of its own class, in which a network sees one number each."""
    n = len(fitness)
    zeros: npt.NDArray[np.int32] = np.zeros(n, np.int32)
    probabilities = np.array(seen if seen is not None else [0.5] * n, np.float32)
    return Elites(
        cells=np.arange(n, dtype=np.int32),
        fitness=np.array(fitness, np.float32),
        probabilities=np.repeat(probabilities[:, None], max(n, 8), axis=1),
        ids=np.arange(n, dtype=np.int64),
        parents=np.full((n, 2), -1, np.int64),
        operators=np.zeros(n, np.uint8),
        islands=zeros,
        epochs=zeros,
        generations=zeros,
        genomes={"genes": np.arange(n, dtype=np.uint8).reshape(n, 1)},
    )


class EncodingTests:
    """The contract of `islands.Encoding`. Say which in the fixture `encoding`."""

    @pytest.fixture
    def encoding(self) -> Encoding:
        """Return what is tested."""
        raise NotImplementedError

    def check(self, genomes: Genomes, encoding: Encoding) -> None:
        """Fail where a genome is none of the encoding's; by default any is one."""

    def test_equal_generators_give_equal_genomes(self, encoding: Encoding) -> None:
        assert same(evolved(encoding, 20, 6), evolved(encoding, 20, 6))
        assert not same(evolved(encoding, 20, 6), evolved(encoding, 20, 6, seed=4))

    def test_genomes_are_rows(self, encoding: Encoding) -> None:
        genomes = encoding.random(3, torch.Generator().manual_seed(1))
        for name in genomes:
            assert genomes[name].ndim == 2, (
                f"{name}: got shape {tuple(genomes[name].shape)}; expected (3, width)"
            )

    def test_random_and_vary_give_valid_genomes(self, encoding: Encoding) -> None:
        self.check(encoding.random(10, torch.Generator().manual_seed(1)), encoding)
        self.check(evolved(encoding, 30, 30), encoding)

    def test_vary_gives_one_child_per_parent(self, encoding: Encoding) -> None:
        parents = evolved(encoding, 17, 3)
        children = encoding.vary(parents, parents, 4, torch.Generator().manual_seed(1))
        assert len(children.genomes) == 17
        assert children.operators.dtype == torch.uint8
        assert children.operators.shape == (17,)

    def test_nothing_changes_its_arguments(self, encoding: Encoding) -> None:
        parents, partners = evolved(encoding, 9, 5), evolved(encoding, 9, 5, seed=8)
        before = evolved(encoding, 9, 5), evolved(encoding, 9, 5, seed=8)
        children = encoding.vary(parents, partners, 6, torch.Generator().manual_seed(1)).genomes
        arrays = encoding.to_arrays(parents)
        images = encoding.render(parents)
        assert same(parents, before[0])
        assert same(partners, before[1])
        for field in children.fields.values():
            field.zero_()
        images.zero_()
        for array in arrays.values():
            array[...] = 0
        assert same(parents, before[0])

    def test_images_are_bytes_of_the_native_size(self, encoding: Encoding) -> None:
        images = encoding.render(evolved(encoding, 5, 5))
        assert images.dtype == torch.uint8
        assert images.shape == (5, encoding.channels, encoding.size, encoding.size)
        assert torch.equal(images, encoding.render(evolved(encoding, 5, 5), encoding.size))

    @pytest.mark.parametrize("size", [1, 5, 31])
    def test_images_of_any_size(self, encoding: Encoding, size: int) -> None:
        assert encoding.render(evolved(encoding, 3, 5), size).shape == (3, encoding.channels, size, size)

    def test_an_image_is_independent_of_the_other_rows(self, encoding: Encoding) -> None:
        genomes = evolved(encoding, 20, 12)
        images = encoding.render(genomes)
        for row in (0, 7, 19):
            assert torch.equal(encoding.render(genomes.take(torch.tensor([row])))[0], images[row])

    def test_arrays_round_trip(self, encoding: Encoding) -> None:
        genomes = evolved(encoding, 12, 12)
        arrays = encoding.to_arrays(genomes)
        again = encoding.from_arrays(arrays, CPU)
        assert all(len(array) == 12 for array in arrays.values())
        assert all(array.flags.c_contiguous for array in arrays.values())
        assert torch.equal(encoding.render(again), encoding.render(genomes))
        second = encoding.to_arrays(again)
        assert all((second[name] == arrays[name]).all() for name in arrays)
        children = [
            encoding.vary(parents, parents, 1, torch.Generator().manual_seed(1)).genomes
            for parents in (genomes, again)
        ]
        assert same(children[0], children[1])

    def test_compact_genomes_are_the_same_in_less_space(self, encoding: Encoding) -> None:
        genomes = evolved(encoding, 20, 12)
        few = encoding.compact(genomes.take(torch.arange(3)))
        assert torch.equal(encoding.render(few), encoding.render(genomes)[:3])
        arrays = encoding.to_arrays(few)
        for name, array in encoding.to_arrays(genomes.take(torch.arange(3))).items():
            assert (arrays[name] == array).all()
            assert few[name].shape[1] == array.shape[1]

    def test_genomes_of_different_widths_mix(self, encoding: Encoding) -> None:
        small, large = evolved(encoding, 4, 0), evolved(encoding, 4, 25)
        mixed = Genomes.concatenate([small, large])
        mixed.replace(Replacement(torch.arange(8) == 1, torch.full((8,), 2)), large)
        images = encoding.render(mixed)
        assert torch.equal(images[4:], encoding.render(large))
        assert torch.equal(images[1], encoding.render(large)[2])
        self.check(encoding.vary(mixed, mixed, 1, torch.Generator().manual_seed(1)).genomes, encoding)

    def test_empty_populations_pass(self, encoding: Encoding) -> None:
        nobody = evolved(encoding, 4, 4).take(torch.tensor([], dtype=torch.int64))
        assert encoding.render(nobody).shape == (0, encoding.channels, encoding.size, encoding.size)
        again = encoding.from_arrays(encoding.to_arrays(nobody), CPU)
        assert len(encoding.vary(again, nobody, 1, torch.Generator().manual_seed(1)).genomes) == 0

    def test_genes_move_images_as_autograd_says(self, encoding: Encoding) -> None:
        if not isinstance(encoding, Tunable):
            pytest.skip(f"{encoding.name} has no genes that gradients move; it is no `Tunable`")
        genomes = evolved(encoding, 6, 4)
        genes = encoding.genes(genomes)
        assert genes.dtype == torch.float32
        assert encoding.present(genomes).shape == genes.shape
        assert same(encoding.with_genes(genomes, genes), genomes)
        moved = (genes + 0.01).clamp(0, 1).requires_grad_()
        levels = encoding.levels(genomes, moved)
        drawn = encoding.render(encoding.with_genes(genomes, moved.detach()))
        assert torch.equal(levels.detach(), drawn.float())
        levels.sum().backward()
        assert moved.grad is not None
        assert moved.grad.isfinite().all()


class ClassifierTests:
    """The contract of `islands.Classifier`. Say which in the fixture `classifier`."""

    @pytest.fixture
    def classifier(self) -> Classifier:
        """Return what is tested."""
        raise NotImplementedError

    def images(self, classifier: Classifier, n: int = 3) -> torch.Tensor:
        """Return `n` images of noise."""
        shape = (n, classifier.channels, classifier.input_size, classifier.input_size)
        return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))

    def test_scores_are_probabilities(self, classifier: Classifier) -> None:
        probabilities = classifier.predict(self.images(classifier)).probabilities
        assert probabilities.shape == (3, len(classifier.classes))
        assert probabilities.dtype == torch.float32
        assert bool(((probabilities >= 0) & (probabilities <= 1)).all())
        assert torch.allclose(probabilities.sum(1), torch.ones(3), atol=1e-3)

    def test_the_same_images_score_the_same(self, classifier: Classifier) -> None:
        images = self.images(classifier)
        first, again = classifier.predict(images), classifier.predict(images)
        assert torch.equal(first.probabilities, again.probabilities)
        assert torch.equal(first.logits, again.logits)

    def test_an_image_is_scored_by_itself(self, classifier: Classifier) -> None:
        images = self.images(classifier)
        together = classifier.predict(images).probabilities
        alone = torch.cat([classifier.predict(image[None]).probabilities for image in images])
        assert torch.allclose(together, alone, atol=1e-3)

    def test_images_are_not_modified(self, classifier: Classifier) -> None:
        images = self.images(classifier)
        classifier.predict(images)
        assert torch.equal(images, self.images(classifier))

    def test_says_what_it_is(self, classifier: Classifier) -> None:
        assert len(set(classifier.classes)) == len(classifier.classes) > 0
        assert classifier.channels in (1, 3)
        assert len(classifier.fingerprint) >= 16


class ParentsTests:
    """The contract of `islands.ParentsSettings`. Say which in `settings`."""

    def settings(self) -> ParentsSettings:
        """Return what is tested."""
        raise NotImplementedError

    def candidates(self) -> Candidates:
        """Return four genomes, of which some hold several cells and have had children."""
        ids, children = [4, 4, 9, 7, 7, 7, 1], [3, 3, 1, 0, 0, 0, 0]
        return Candidates(torch.tensor(ids), torch.tensor(children, dtype=torch.int32))

    @pytest.mark.parametrize("n", [1, 3, 4, 5, 50])
    def test_rows_of_candidates(self, n: int) -> None:
        for rows in self.settings().build().choose(self.candidates(), n, torch.Generator().manual_seed(n)):
            assert rows.dtype == torch.int64
            assert rows.shape == (n,)
            assert rows.min() >= 0
            assert rows.max() < len(self.candidates().ids)

    def test_equal_streams_give_equal_choices(self) -> None:
        parents = self.settings().build()
        first, again = (
            parents.choose(self.candidates(), 40, torch.Generator().manual_seed(5)) for _ in range(2)
        )
        assert torch.equal(torch.stack(first), torch.stack(again))

    def test_nothing_is_modified(self) -> None:
        given = self.candidates()
        chosen = self.settings().build().choose(given, 9, torch.Generator().manual_seed(1))
        counted(given, chosen.parents)
        assert all(torch.equal(*pair) for pair in zip(given, self.candidates(), strict=True))


class EmitterTests:
    """The contract of `islands.EmitterSettings`. Say which, and with what, in three fixtures."""

    @pytest.fixture
    def settings(self) -> EmitterSettings:
        """Return what is tested."""
        raise NotImplementedError

    @pytest.fixture
    def encoding(self) -> Encoding:
        """Return an encoding that it works on."""
        raise NotImplementedError

    @pytest.fixture
    def classifier(self) -> Classifier:
        """Return a network for images of the encoding."""
        raise NotImplementedError

    def check(self, genomes: Genomes, encoding: Encoding) -> None:
        """Fail where a genome is none of the encoding's; by default any is one."""

    def population(self, encoding: Encoding, *, held: bool = True) -> IslandPopulation:
        """Return ten cells, some of one genome, and five migrants or none."""
        from islands.search.choices import FreshSettings

        ids = torch.tensor([3, 3, 5, 6, 7, 8, 9, 9, 9, 10])
        held_ids = torch.arange(5 if held else 0) + 100
        return IslandPopulation(
            parents=FreshSettings().build(),
            classes=torch.arange(10),
            cells=evolved(encoding, 10, 6),
            cell_ids=ids,
            confidence=torch.linspace(0, 1, 10),
            held=evolved(encoding, 5, 9, seed=8) if held else None,
            held_ids=held_ids,
            children=torch.zeros(len(ids) + len(held_ids), dtype=torch.int32),
        )

    def emit(
        self, settings: EmitterSettings, encoding: Encoding, classifier: Classifier, seed: int = 1
    ) -> Offspring:
        """Return the children of five visits."""
        ((_, emitter),) = build_emitters([settings], encoding, classifier)
        with torch.inference_mode():  # as a worker does it
            return emitter.emit(self.population(encoding), 5, 1, torch.Generator().manual_seed(seed))

    def test_children_are_genomes_with_parents(
        self, settings: EmitterSettings, encoding: Encoding, classifier: Classifier
    ) -> None:
        made = self.emit(settings, encoding, classifier)
        n = len(made.children.genomes)
        assert 0 < n <= 5 * settings.images
        assert n == 5 or settings.images > 1
        assert made.parents.shape == (n, 2)
        assert made.parents.dtype == torch.int64
        assert made.children.operators.dtype == torch.uint8
        assert made.children.operators.shape == (n,)
        known = {*self.population(encoding).cell_ids.tolist(), *range(100, 105)}
        assert set(made.parents.flatten().tolist()) <= known | {-1}
        assert len(encoding.render(made.children.genomes)) == n
        self.check(made.children.genomes, encoding)

    def test_equal_streams_give_equal_children(
        self, settings: EmitterSettings, encoding: Encoding, classifier: Classifier
    ) -> None:
        first, again = (self.emit(settings, encoding, classifier) for _ in range(2))
        other = self.emit(settings, encoding, classifier, seed=2)
        assert same(first.children.genomes, again.children.genomes)
        assert torch.equal(first.parents, again.parents)
        assert not same(first.children.genomes, other.children.genomes)

    def test_nobody_is_modified(
        self, settings: EmitterSettings, encoding: Encoding, classifier: Classifier
    ) -> None:
        island, before = self.population(encoding), self.population(encoding)
        ((_, emitter),) = build_emitters([settings], encoding, classifier)
        emitter.emit(island, 7, 1, torch.Generator().manual_seed(3))
        assert island.held is not None
        assert before.held is not None
        assert same(island.cells, before.cells)
        assert same(island.held, before.held)

    def test_works_without_migrants(
        self, settings: EmitterSettings, encoding: Encoding, classifier: Classifier
    ) -> None:
        ((_, emitter),) = build_emitters([settings], encoding, classifier)
        made = emitter.emit(self.population(encoding, held=False), 5, 2, torch.Generator())
        assert len(made.children.genomes) > 0


class TopologyTests:
    """The contract of `islands.TopologySettings`. Say which in `settings`."""

    counts: tuple[int, ...] = (1, 2, 3, 7, 12, 40)
    """Numbers of islands that it is tested with."""

    def settings(self) -> TopologySettings:
        """Return what is tested."""
        raise NotImplementedError

    def build(self, count: int, seed: int = 0) -> Topology:
        """Return the graph of `count` islands."""
        return build_topology(self.settings(), count, 0.5, seed, 0)

    def edges(self, count: int, seed: int = 0) -> set[tuple[int, int]]:
        """Return its edges, from senders to receivers."""
        topology = self.build(count, seed)
        return {(each.sender, i) for i in range(count) for each in topology.get_connections(i)}

    def test_connections_name_other_islands_once_in_order(self) -> None:
        for count in self.counts:
            for island in range(count):
                connections = self.build(count).get_connections(island)
                senders = [connection.sender for connection in connections]
                assert senders == sorted(set(senders) - {island})
                assert all(0 <= sender < count for sender in senders)
                assert all(connection.weight == 0.5 for connection in connections)

    def test_islands_that_do_not_exist_are_refused_with_the_count(self) -> None:
        """The bug pagmo #364: a topology of another size than the archipelago crashed."""
        for count in self.counts:
            for island in (count, -1):
                with pytest.raises(ValueError, match=f"no island {island}: the topology has {count}"):
                    self.build(count).get_connections(island)

    def test_equal_seeds_give_equal_graphs(self) -> None:
        assert all(self.edges(count, 7) == self.edges(count, 7) for count in self.counts)


_FITNESS = ([1.0], [3.0, 3.0, 3.0], [0.0, 2.0, 1.0, 2.0, 0.0], [float(i % 4) for i in range(12)])


class SelectionTests:
    """The contract of `islands.SelectionSettings`. Say which in `settings`."""

    def settings(self) -> SelectionSettings:
        """Return what is tested."""
        raise NotImplementedError

    @pytest.mark.parametrize("fitness", _FITNESS, ids=len)
    def test_chooses_different_ones_and_the_same_again(self, fitness: list[float]) -> None:
        elites = table_of_elites(fitness)
        for size in range(1, len(elites) + 1):
            rows, again = (
                [int(row) for row in self.settings().choose(elites, size, np.random.default_rng(size))]
                for _ in range(2)
            )
            assert len(set(rows)) == len(rows) <= size
            assert set(rows) <= set(range(len(elites)))
            assert rows == again


class ReplacementTests:
    """The contract of `islands.ReplacementSettings`. Say which in `settings`."""

    def settings(self) -> ReplacementSettings:
        """Return what is tested."""
        raise NotImplementedError

    @pytest.mark.parametrize("fitness", _FITNESS, ids=len)
    @pytest.mark.parametrize("capacity", [1, 2, 5, 20])
    def test_keeps_different_ones_and_the_same_again(self, fitness: list[float], capacity: int) -> None:
        pool = table_of_elites(fitness)
        for held in range(len(pool) + 1):
            kept, again = (
                [int(row) for row in self.settings().keep(pool, held, capacity, np.random.default_rng(held))]
                for _ in range(2)
            )
            assert len(set(kept)) == len(kept) <= capacity
            assert set(kept) <= set(range(len(pool)))
            assert kept == again


class MeasureTests:
    """The contract of `islands.MeasureSettings`. Say which in `settings`, and of what in `encoding`."""

    def settings(self) -> MeasureSettings:
        """Return what is tested."""
        raise NotImplementedError

    @pytest.fixture
    def encoding(self) -> Encoding:
        """Return whose images are measured: CPPNs of 16 x 16 pixels in colour, by default."""
        return CppnSettings().build(channels=3, size=16)

    def test_every_image_has_a_finite_number_and_a_bin(self, encoding: Encoding) -> None:
        genomes = evolved(encoding, 12, 8)
        images = encoding.render(genomes)
        measured = self.settings().measure(images, genomes, encoding)
        assert measured.dtype == torch.float64
        assert measured.shape == (12,)
        assert bool(measured.isfinite().all())
        bins = bins_of(ArchiveConfig(measures=[self.settings()]), images, genomes, encoding)
        assert set(bins.tolist()) <= set(range(self.settings().bins))

    def test_a_number_is_of_the_image_alone(self, encoding: Encoding) -> None:
        genomes = evolved(encoding, 9, 8)
        images = encoding.render(genomes)
        together = self.settings().measure(images, genomes, encoding)
        for row in range(9):
            alone = genomes.take(torch.tensor([row]))
            assert torch.equal(
                self.settings().measure(images[row : row + 1], alone, encoding), together[row : row + 1]
            )

    def test_nothing_is_modified(self, encoding: Encoding) -> None:
        genomes, again = evolved(encoding, 5, 3), evolved(encoding, 5, 3)
        images = encoding.render(genomes)
        before = images.clone()
        self.settings().measure(images, genomes, encoding)
        assert torch.equal(images, before)
        assert same(genomes, again)


class LoggerTests:
    """The contract of `islands.LoggerSettings`. Say which in `settings`, which may use pytest's fixtures."""

    @pytest.fixture
    def settings(self) -> LoggerSettings:
        """Return what is tested."""
        raise NotImplementedError

    def progress(self, epoch: int) -> Progress:
        """Return a report of progress after an epoch."""
        return Progress(
            epoch=epoch,
            epochs=3,
            generation=10 * epoch,
            evaluations=200 * (epoch + 1),
            evaluations_per_second=100.0,
            confidence=np.full((1, 10), 0.5, np.float32),
            next_checkpoint_s=30.0,
            losses=0,
        )

    def test_takes_progress_and_closes(self, settings: LoggerSettings, tmp_path: object) -> None:
        config = RunConfig.model_validate(
            {
                "pipeline": "custom",
                "store": f"{tmp_path}/run",
                "network": {"name": "lenet-mnist"},
                "encoding": {"name": "direct"},
            }
        )
        with settings.open(config) as observe:
            for epoch in range(3):
                observe(self.progress(epoch))
