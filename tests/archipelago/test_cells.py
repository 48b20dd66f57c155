"""Archives with several cells for each class: measures, and places for more than the best."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import islands
from islands.archipelago.driver import Archipelago
from islands.archipelago.executor import InProcessExecutor
from islands.archipelago.host import IslandHost, build_host
from islands.archipelago.progress import Progress
from islands.classifiers.contract import Classifier, Prediction
from islands.cli.main import execute
from islands.config import RunConfig, WorkConfig
from islands.evolution.elites import Elites
from islands.evolution.fitness import fitness_of
from islands.measures.bins import bins_of
from islands.runs.launch import launch
from islands.runs.resume import resume
from islands.runs.verify import verify
from islands.search.presets import settings_of
from islands.store.reader import StoreReader
from islands.store.status import read_status
from tests.archipelago.conftest import digest, evolve, in_process, parts, small_config
from tests.store.comparing import assert_same

BRIGHT = {"name": "brightness", "bins": 3}
ARCHIVES: list[dict[str, Any]] = [
    {"measures": [BRIGHT]},
    {"top": 3},
    {"measures": [BRIGHT, {"name": "symmetry", "bins": 2}], "top": 2},
]
each_archive = pytest.mark.parametrize("archive", ARCHIVES, ids=["bins", "places", "both"])


class Judge:
    """A classifier that notes the fitness of every image for each class, and its bin."""

    def __init__(self, config: WorkConfig) -> None:
        self._config = config
        self._encoding, self._classifier = parts(config)
        self._lock = threading.Lock()
        self.seen: dict[tuple[int, int], set[float]] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._classifier, name)

    def host(self) -> IslandHost:
        classifier: Classifier = self  # type: ignore[assignment]
        return IslandHost(self._config.evolution, self._encoding, classifier)

    def predict(self, images: Tensor) -> Prediction:
        prediction = self._classifier.predict(images)
        fitness = fitness_of(prediction, self._config.evolve.tie_break).tolist()
        # None of these measures looks at genomes.
        genomes = self._encoding.random(len(images), torch.Generator())
        bins = bins_of(self._config.archive, images, genomes, self._encoding).tolist()
        with self._lock:
            for bin_, scores in zip(bins, fitness, strict=True):
                for class_, score in enumerate(scores):
                    self.seen.setdefault((class_, bin_), set()).add(score)
        return prediction

    def best(self, class_: int, bin_: int) -> list[float]:
        """Return what the cells of a bin should hold, empty ones included."""
        places = self._config.archive.top
        best = sorted(self.seen.get((class_, bin_), ()), reverse=True)[:places]
        return best + [-np.inf] * (places - len(best))


def in_bins(elites: Elites, config: WorkConfig) -> list[list[float]]:
    """Return the fitness of the places of each bin, the best first."""
    by_bin = elites.fitness.reshape(-1, config.archive.top)
    found: list[list[float]] = np.sort(by_bin, axis=1)[:, ::-1].tolist()
    return found


@each_archive
@pytest.mark.parametrize("island_count", [1, 3])
@pytest.mark.parametrize("tie_break", ["first", "margin"])
def test_every_bin_holds_the_best_of_all_that_was_judged(
    archive: dict[str, Any], island_count: int, tie_break: str
) -> None:
    """Also what other islands found, and what is in transit at the end."""
    config = small_config(
        runs=1, archive=archive, islands={"count": island_count}, evolve={"tie_break": tie_break}
    )
    judge = Judge(config)
    last = in_process(config, workers=2, host=judge.host()).last.runs[0]
    bins = config.archive.bins
    expected = [judge.best(cell // bins, cell % bins) for cell in range(10 * bins)]
    assert in_bins(last.elites, config) == expected
    assert len({tuple(each) for each in expected}) >= 10


@each_archive
def test_a_genome_is_in_the_bin_that_its_image_belongs_to(archive: dict[str, Any]) -> None:
    config = small_config(runs=1, archive=archive)
    elites = in_process(config).last.runs[0].elites
    filled = elites.take(np.flatnonzero(elites.ids >= 0))
    encoding, classifier = parts(config)
    genomes = encoding.from_arrays(filled.genomes, torch.device("cpu"))
    images = encoding.render(genomes)
    bins = bins_of(config.archive, images, genomes, encoding).numpy()
    np.testing.assert_array_equal(filled.cells // config.archive.top % config.archive.bins, bins)
    probabilities = classifier.predict(images).probabilities.numpy()
    np.testing.assert_allclose(filled.probabilities, probabilities, atol=1e-5)


@each_archive
@pytest.mark.parametrize("preset", ["paper", "swift"])
def test_any_number_of_threads_and_a_resume_give_the_same_bits(archive: dict[str, Any], preset: str) -> None:
    chosen = settings_of(preset, "cppn")
    evolve_settings = {**chosen.get("evolve", {}), "initial": 30, "children": 30}
    if "emitters" in evolve_settings:
        evolve_settings["emitters"] = [{**each, "from_images": 0} for each in evolve_settings["emitters"]]

    def config(generations: int) -> WorkConfig:
        evolve_all = {**evolve_settings, "generations": generations}
        return small_config(archive=archive, evolve=evolve_all, encoding=chosen.get("encoding", {}))

    whole = in_process(config(12), 1).last
    assert digest(in_process(config(12), 5).last) == digest(whole)
    half = in_process(config(6)).last
    resumed = evolve(config(12), InProcessExecutor(build_host(config(12)), 2, 1), checkpoint=half).last
    for found, expected in zip(resumed.runs, whole.runs, strict=True):
        assert_same(found.elites, expected.elites)
        assert_same(found.mail, expected.mail)


def test_a_screened_run_gives_the_archive_of_float32() -> None:
    archive = ARCHIVES[2]
    exact = in_process(small_config(runs=1, archive=archive)).last.runs[0].elites
    network = {"name": "lenet-mnist", "screen": "bfloat16"}
    screened = in_process(small_config(runs=1, archive=archive, network=network)).last.runs[0].elites
    np.testing.assert_array_equal(screened.ids, exact.ids)
    np.testing.assert_allclose(screened.fitness, exact.fitness, atol=1e-5)


@pytest.mark.slow
def test_a_killed_worker_of_ray_changes_no_bit(ray_cluster: None) -> None:
    import ray

    from islands.archipelago.ray_executor import RayExecutor

    config = small_config(archive=ARCHIVES[2], workers={"count": 2})
    executor = RayExecutor(config)
    pids: list[int] = ray.get([slot.actor.pid.remote() for slot in executor.workers.slots])

    def kill(archipelago: Archipelago, progress: Progress) -> None:
        if progress.epoch >= 1 and len(pids) == 2:
            os.kill(pids.pop(), signal.SIGKILL)

    evolution = evolve(config, executor, on_report=kill)
    assert evolution.reports[-1].losses > 0
    assert digest(evolution.last) == digest(in_process(config).last)


def test_asynchronous_islands_lose_nothing() -> None:
    config = small_config(runs=1, archive=ARCHIVES[2], islands={"asynchronous": True})
    judge = Judge(config)
    last = in_process(config, workers=3, host=judge.host()).last.runs[0]
    assert in_bins(last.elites, config) == [judge.best(cell // 6, cell % 6) for cell in range(60)]


def stored(path: Path, archive: dict[str, Any], **sections: Any) -> RunConfig:
    chosen = {"runs": 2, "workers": {"executor": "in-process"}, "checkpoint": {"every_s": 1e-3}, **sections}
    work = small_config(archive=archive, **chosen).model_dump(mode="json")
    return RunConfig.model_validate({**work, "pipeline": "custom", "store": str(path)})


@pytest.mark.slow
@each_archive
def test_a_store_gives_back_what_it_was_given(archive: dict[str, Any], tmp_path: Path) -> None:
    whole = launch(stored(tmp_path / "whole", archive))
    launch(stored(tmp_path / "half", archive, evolve={"generations": 6}))
    resumed = resume(str(tmp_path / "half"), ["evolve.generations=12"])
    for run in range(2):
        assert_same(resumed.resumable(run), whole.resumable(run))
        assert_same(resumed.history(run), whole.history(run))
        assert_same(resumed.cell_curves(run), whole.cell_curves(run))
    resumed.require_intact()
    checked = verify(str(tmp_path / "half"), sample=None)
    assert not checked.mismatches
    assert checked.elites == sum(int((whole.cells(run).ids >= 0).sum()) for run in range(2))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / "run"
    launch(stored(path, ARCHIVES[2], held_out=["linear-mnist"]))
    return path


class TestLookingAtOne:
    def test_all_that_is_of_classes_is_of_their_best(self, store: Path) -> None:
        reader = StoreReader(store)
        for run in range(2):
            cells, best = reader.cells(run), reader.elites(run)
            assert len(cells) == 120
            assert best.classes.tolist() == list(range(10))
            by_class = cells.fitness.reshape(10, 12)
            assert best.fitness.tolist() == by_class.max(1).tolist()
            assert reader.confidence(run).tolist() == best.confidence.tolist()
            np.testing.assert_array_equal(reader.probabilities(run), best.probabilities)
            np.testing.assert_array_equal(reader.probabilities(run, slice(3, 5)), best.probabilities[3:5])
            for name, array in reader.genomes(run, slice(2, None)).items():
                np.testing.assert_array_equal(array, best.genomes[name][2:])
            curves = reader.cell_curves(run)
            by_class = np.nan_to_num(np.fmax.reduce(curves.reshape(len(curves), 10, 12), axis=2))
            np.testing.assert_array_equal(reader.curves(run), by_class)
            last = np.nan_to_num(curves[-1]).reshape(-1, 2)
            np.testing.assert_array_equal(last, -np.sort(-cells.confidence.reshape(-1, 2), axis=1))
            (scores,) = reader.scores()
            np.testing.assert_array_equal(scores.runs[run].ids, best.ids)

    def test_tables_and_pictures(self, store: Path) -> None:
        run = islands.open(store)
        cells = run.cells
        counts = run.query("select run, class, count(*) as n from cells group by all order by all")
        assert len(counts) == 20
        assert counts.n.sum() == len(cells) == sum((run.reader.cells(r).ids >= 0).sum() for r in range(2))
        assert set(cells.niche) <= {run.config.archive.niche(bin_) for bin_ in range(6)}
        best = run.query("select max(confidence) as best from cells group by run, class order by run, class")
        np.testing.assert_array_equal(best.best, run.confidence.ravel())
        dark = cells[cells.niche.str.startswith("brightness 0 ")]
        bright = cells[cells.niche.str.startswith("brightness 0.66")]
        assert max(each.image().mean() for each in dark.elite) < 255 / 3
        assert min(each.image().mean() for each in bright.elite) >= 255 * 2 / 3
        for elite, id_ in zip(cells.elite[:20], cells.id[:20], strict=True):
            assert elite.lineage()[-1].id == id_
        history = run.history
        assert set(history.cell) <= set(range(12))
        assert history.cell.max() > 1

    def test_statistics_are_of_all_cells(self, store: Path) -> None:
        run = islands.open(store)
        elites = run.reader.cells(0)
        last = run.table("runs").iloc[0]
        assert last.coverage == pytest.approx((elites.ids >= 0).mean())
        assert last.qd_score == pytest.approx(elites.confidence.sum())
        over_time = run.statistics[run.statistics.run == 0]
        assert over_time.coverage.is_monotonic_increasing
        assert 0 < over_time.coverage.iloc[0] < 1
        status = read_status(store)
        both = np.concatenate([run.reader.cells(each).ids for each in range(2)])
        assert status.coverage == pytest.approx((both >= 0).mean())

    def test_a_report_can_be_made(self, store: Path, tmp_path: Path) -> None:
        page = islands.report(store, tmp_path / "report.html")
        assert Path(page).stat().st_size > 100_000

    def test_all_cells_of_a_class_are_drawn_on_a_sheet(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert execute(["show", str(store), "--class", "3", "--sheet", "--out", str(tmp_path / "a.png")]) == 0
        said = capsys.readouterr().out.splitlines()
        assert len(said) == 1 + 6
        assert said[3] == "  cell 4 to 5: brightness 0.333333 to 0.666667, symmetry 0 to 0.5"
        sheet = np.asarray(Image.open(tmp_path / "a.png"))
        # Two bins of symmetry with two places a row, three of brightness.
        assert sheet.shape == (8 + 3 * 164, 8 + 4 * 136, 3)
        cells = islands.open(store).cells
        for row in cells[(cells["run"] == 0) & (cells["class"] == 3)].to_dict("records"):
            down, across = divmod(row["cell"], 4)
            tile = sheet[8 + down * 164 :, 8 + across * 136 :][:128, :128]
            picture = Image.fromarray(row["elite"].image()[..., 0])
            expected = picture.resize((128, 128), Image.Resampling.NEAREST)
            np.testing.assert_array_equal(tile[..., 0], np.asarray(expected))

    def test_all_cells_are_exported(self, store: Path, tmp_path: Path) -> None:
        islands.export(store, tmp_path / "out", layout="cells")
        run = islands.open(store)
        files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.png"))
        named = (f"{row['class']:04}_{row['name']}" for row in run.cells.to_dict("records"))
        assert len(files) == len(run.cells) == len({*files})
        assert {file.split("/")[0] for file in files} == {*named}
        row = run.cells.iloc[7]
        (file,) = (tmp_path / "out").glob(f"{row['class']:04}_*/run-{row.run}_cell-{row.cell:03}.png")
        np.testing.assert_array_equal(np.asarray(Image.open(file)), row.elite.image()[..., 0])
