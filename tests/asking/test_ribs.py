"""Released pyribs with our archive, and with our encodings."""

from __future__ import annotations

import doctest
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from ribs.archives import CategoricalArchive, GridArchive
from ribs.emitters import EmitterBase, EvolutionStrategyEmitter, GaussianEmitter
from ribs.schedulers import Scheduler

import islands
import islands.ribs
from islands.errors import InputError
from islands.ribs import ClassArchive, EncodingEmitter
from tests.asking.test_archipelago import CLASSES, look

SIZE = 8
GENES = SIZE * SIZE
OBJECTS: dict[str, Any] = {
    "solution_dim": (),
    "solution_dtype": object,
    "objective_dtype": float,
    "measures_dtype": float,
}


def grey(**settings: Any) -> ClassArchive:
    return ClassArchive(CLASSES, **{"size": SIZE, "channels": 1, "seed": 0} | settings)


def gaussian(archive: ClassArchive) -> GaussianEmitter:
    bounds = [(0, 1)] * GENES
    return GaussianEmitter(archive, sigma=0.2, x0=np.full(GENES, 0.5), bounds=bounds, batch_size=20, seed=1)


def strategy(archive: ClassArchive) -> EvolutionStrategyEmitter:
    settings: dict[str, Any] = {"ranker": "2imp", "es": "sep_cma_es", "batch_size": 20, "seed": 2}
    return EvolutionStrategyEmitter(archive, x0=np.full(GENES, 0.5), sigma0=0.2, **settings)


def ours(archive: ClassArchive, **settings: Any) -> EncodingEmitter:
    settings = {"encoding": "cppn" if archive.solution_dim == () else "direct", **settings}
    settings = {"size": SIZE, "channels": 1, "batch_size": 20, "seed": 3, **settings}
    return EncodingEmitter(archive, **settings)


def fill(archive: ClassArchive, emitters: list[EmitterBase], batches: int, **settings: Any) -> ClassArchive:
    scheduler = Scheduler(archive, emitters, **settings)
    for _ in range(batches):
        scores = look(archive.draw(scheduler.ask()))
        scheduler.tell(scores.max(1), scores)
    return archive


EMITTERS: dict[str, tuple[dict[str, Any], list[Callable[..., EmitterBase]]]] = {
    "gaussian": ({}, [gaussian]),
    "strategy": ({}, [strategy]),
    "our pixels beside theirs": ({}, [gaussian, ours]),
    "our networks": ({"encoding": "cppn"}, [ours]),
}


@pytest.mark.parametrize("name", EMITTERS)
def test_a_scheduler_fills_our_archive_which_is_a_store(name: str, tmp_path: Path) -> None:
    settings, makers = EMITTERS[name]
    archive = grey(**settings)
    fill(archive, [make(archive) for make in makers], 30)
    data = archive.data(["solution", "objective", "measures", "index"])
    order = np.argsort(data["index"])
    assert data["index"][order].tolist() == [0, 1, 2]
    assert data["objective"].min() > 0.4
    # Scores are those of the image that a genome of bytes gives, and are stored as such.
    seen = look(archive.draw(data["solution"][order]))
    assert np.allclose(seen.diagonal(), data["objective"][order])
    run = archive.save(tmp_path / "run")
    assert np.array_equal(run.confidence[0], data["objective"][order])
    assert np.array_equal(run.image("even"), archive.draw(data["solution"][order])[2])
    assert (run.epoch, run.reader.curves(0).shape) == (29, (30, 3))
    assert run.reader.evaluations(0) == 30 * 20 * len(makers)
    assert set(run.table("history")["operator"]) == {"foreign"}
    opened = islands.open(tmp_path / "run")
    assert opened.classes == CLASSES
    assert opened.elite("bright").image(16).shape == (16, 16, 1)
    assert "own-loop:pyribs" in islands.report(tmp_path / "run", tmp_path / "page.html").read_text()


def test_a_solution_takes_every_cell_that_it_is_best_for() -> None:
    archive = grey()
    solutions = np.linspace(0, 1, 4)[:, None].repeat(GENES, 1)
    first = np.array([[0.2, 0.3, 0.1], [0.2, 0.2, 0.2], [0.1, 0.3, 0.4], [0.0, 0.0, 0.0]])
    info = archive.add(solutions, None, first)
    assert info["status"].tolist() == [2, 2, 2, 2]
    assert info["value"] == pytest.approx([0.3, 0.2, 0.4, 0])
    data = archive.data()
    # Of equals the first: 0 has both `dark` and `bright`.
    assert data["solution"][:, 0] == pytest.approx([0, 0, 2 / 3])
    assert data["objective"] == pytest.approx([0.2, 0.3, 0.4])
    then = np.array([[0.2, 0.3, 0.4], [0.5, 0.1, 0.4], [0.4, 0.4, 0.1], [0.0, 0.0, 0.3]])
    info = archive.add(solutions, None, then)
    assert info["status"].tolist() == [0, 1, 1, 0]
    assert info["value"] == pytest.approx([0, 0.3, 0.2, -0.1])
    assert archive.data("solution")[:, 0] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    stats = archive.stats
    assert (stats.num_elites, stats.coverage) == (3, 1)
    assert (stats.qd_score, stats.obj_max) == pytest.approx((1.3, 0.5))
    assert [elite["index"] for elite in archive] == [0, 1, 2]


def test_it_says_what_archives_of_pyribs_say() -> None:
    """Where each solution counts for one class alone, a grid of classes is the same archive."""
    archive, grid = grey(), GridArchive(solution_dim=GENES, dims=[3], ranges=[(0, 3)], dtype=np.float32)
    dice = np.random.default_rng(0)
    for _ in range(8):
        solutions = dice.random((9, GENES), np.float32)
        classes, objective = np.arange(9) % 3, dice.random(9, np.float32)
        info = archive.add(solutions, None, np.eye(3, dtype=np.float32)[classes] * objective[:, None])
        expected = grid.add(solutions, objective, classes[:, None])
        assert np.array_equal(info["status"], expected["status"])
        taken = expected["status"] > 0
        assert np.array_equal(info["value"][taken], expected["value"][taken])
        by_class = np.argsort(grid.data("index"))
        assert np.array_equal(archive.data("solution"), grid.data("solution")[by_class])
    assert archive.stats.qd_score == pytest.approx(grid.stats.qd_score)
    assert archive.stats.obj_mean == pytest.approx(grid.stats.obj_mean)


def test_one_at_a_time_gives_the_same_cells() -> None:
    batch, single = grey(), grey()
    fill(batch, [gaussian(batch)], 1)
    fill(single, [gaussian(single)], 1, add_mode="single")
    assert np.array_equal(batch.data("objective"), single.data("objective"))


def test_equal_seeds_give_equal_archives() -> None:
    first, second, other = (grey(encoding="cppn", seed=seed) for seed in (0, 0, 1))
    for archive in (first, second, other):
        fill(archive, [ours(archive)], 6)
    assert np.array_equal(first.data("measures"), second.data("measures"))
    assert not np.array_equal(first.data("measures"), other.data("measures"))


def test_a_cleared_archive_starts_again(tmp_path: Path) -> None:
    archive = grey()
    fill(archive, [gaussian(archive)], 2)
    archive.clear()
    assert archive.empty
    with pytest.raises(IndexError, match="the archive is empty"):
        archive.sample_elites(1)
    with pytest.raises(InputError, match="save: got an empty archive"):
        archive.save(tmp_path / "run")
    assert archive.stats.obj_max is None
    fill(archive, [gaussian(archive)], 1)
    assert archive.save(tmp_path / "run").epoch == 0


def test_a_loop_of_ones_own_goes_on_where_pyribs_stopped(tmp_path: Path) -> None:
    archive = grey(encoding="cppn")
    for seed in (3, 4):
        fill(archive, [ours(archive, seed=seed)], 4)
        archive.save(tmp_path / "run")
    archipelago = islands.Archipelago.resume(tmp_path / "run")
    for _ in range(8):
        archipelago.tell(look(archipelago.ask().images))
    assert (archipelago.confidence >= archive.data("objective")).all()
    run = archipelago.save(tmp_path / "run")
    assert run.epoch == 15
    assert {"foreign", "mutation"} <= set(run.table("history")["operator"])


def brightness(images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return objectives and measures in [0, 1] of images (B, H, W, channels)."""
    return images.std((1, 2, 3)) / 255, images.mean((1, 2, 3))[:, None] / 255


@pytest.mark.parametrize(
    ("encoding", "evolve", "channels"),
    [("cppn", {}, 3), ("cppn", {"preset": "paper"}, 1), ("direct", {}, 3), ("dct", {}, 1)],
)
def test_our_encodings_fill_their_archives(encoding: str, evolve: dict[str, Any], channels: int) -> None:
    archive = GridArchive(dims=[20], ranges=[(0, 1)], seed=0, **OBJECTS)
    images: dict[str, Any] = {"size": SIZE, "channels": channels, "encoding": encoding}
    emitters = [
        EncodingEmitter(archive, **images, batch_size=16, evolve=evolve, seed=seed) for seed in (0, 1)
    ]
    scheduler = Scheduler(archive, emitters)
    sizes = []
    for _ in range(15):
        solutions = scheduler.ask()
        assert solutions.shape == (32,)
        objective, measures = brightness(emitters[0].draw(solutions))
        scheduler.tell(objective, measures)
        sizes.append(len(archive))
    assert sizes[-1] > sizes[0] or encoding == "direct"
    data = archive.data(["solution", "objective"])
    found, _ = brightness(emitters[0].draw(data["solution"]))
    assert np.allclose(found, data["objective"])
    assert np.array_equal(
        emitters[0].draw(pickle.loads(pickle.dumps(data["solution"]))), emitters[0].draw(data["solution"])
    )


def test_networks_evolve_in_an_archive_of_categories() -> None:
    kinds = {name: kind for name, kind in OBJECTS.items() if name != "measures_dtype"}
    archive = CategoricalArchive(categories=[CLASSES], seed=0, **kinds)
    emitter = EncodingEmitter(archive, size=SIZE, channels=1, batch_size=20)
    scheduler = Scheduler(archive, [emitter])
    for _ in range(10):
        scores = look(emitter.draw(scheduler.ask()))
        scheduler.tell(scores.max(1), np.array(CLASSES, object)[scores.argmax(1)][:, None])
    assert len(archive) >= 2


def test_children_come_from_the_elites_of_the_archive() -> None:
    """An archive that holds one genome gives children that are much like it."""
    archive = GridArchive(solution_dim=GENES, dims=[1], ranges=[(0, 1)], seed=0)
    emitter = EncodingEmitter(archive, size=SIZE, channels=1, encoding="direct", batch_size=10)
    parent = emitter.ask()[:1]
    archive.add(parent, [1.0], [[0.5]])
    children = emitter.ask()
    assert (emitter.batch_size, children.shape) == (10, (10, GENES))
    assert children.dtype == np.float64

    assert (children == parent).mean() > 0.8
    assert not (children == parent).all()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: add((2, 9), np.zeros((2, 3))), "solution: got shape (2, 9); expected finite floats (n, 64)"),
        (lambda: add((2, GENES), np.zeros((2, 4))), "scores: got shape (2, 4); expected (2, 3)"),
        (lambda: add((1, GENES), np.ones((1, 3))), "scores: got numbers that sum to 3 for image 0"),
        (lambda: add((1, GENES), np.zeros((1, 3)), age=[1]), "fields: got age; expected none"),
        (lambda: grey(encoding="cppn").draw([1, 2]), "solution: got what is no Genome"),
        (lambda: grey(size=0), "islands.ribs.ClassArchive: encoding.size: "),
        (lambda: ClassArchive("dark", size=8), "classes: got 'dark'"),
        (lambda: ours(grey(), size=9), "archive: got solution_dim 64; expected 81, as the encoding direct"),
        (
            lambda: ours(grey(), encoding="cppn"),
            "whose genomes grow or are no floats; expected solution_dim=()",
        ),
        (lambda: ours(grey(), batch_size=0), "islands.ribs.EncodingEmitter: evolve.children: "),
        (
            lambda: ours(grey(), batch_size=40, evolve={"preset": "white-box"}),
            "got a classifier without gradients",
        ),
    ],
)
def test_what_does_not_fit_is_told(call: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as error:
        call()
    assert "\n" not in str(error.value).replace("\nislands.ribs", "")


def add(shape: tuple[int, int], scores: npt.NDArray[np.float64], **fields: Any) -> None:
    grey().add(np.zeros(shape), None, scores, **fields)


def test_nothing_in_a_batch_changes_nothing() -> None:
    archive = grey()
    assert archive.add(np.empty((0, GENES)), None, np.empty((0, 3)))["status"].shape == (0,)
    assert archive.empty


@pytest.mark.parametrize("text", [islands.ribs.__doc__, EncodingEmitter.__doc__], ids=["module", "emitter"])
def test_examples_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_doctest(text, vars(islands.ribs).copy(), "islands.ribs", None, 0)
    said: list[str] = []
    assert examples.examples
    doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert not said, "".join(said)


def test_without_pyribs_one_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['ribs'] = None\n"
        "import islands\n"
        "try: islands.ribs\n"
        "except islands.errors.InputError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("pyribs is not installed (")
    assert said.endswith("; pip install 'islands[ribs]'\n")
