"""Contact sheets: which elites are on them, in which order, and where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from islands.cli.main import execute as islands
from islands.evolution.checkpoint import Checkpoint
from islands.reports.sheets import arrange, choose, contact_sheet
from islands.store.images import render_elite
from islands.store.reader import StoreReader
from tests.store.samples import make_checkpoint, make_store

SIZES = {1: (1, 1), 7: (3, 3), 10: (5, 2), 24: (6, 4), 40: (8, 5), 1000: (40, 25)}


@pytest.fixture
def shared(tmp_path: Path) -> StoreReader:
    """Run 0 has one genome in the cells 2, 4 and 7, surest of 4, and none in cell 5."""
    path = tmp_path / "run"
    with make_store(path) as writer:
        checkpoint = make_checkpoint(3, 0, k=10)
        elites = checkpoint.runs[0].elites
        confidence = np.array([0.5, 0.1, 0.6, 0.3, 0.9, 0.2, 0.4, 0.7, 0.8, 0.05], np.float32)
        probabilities = elites.probabilities.copy()
        np.fill_diagonal(probabilities, confidence)
        ids, generations = elites.ids.copy(), np.arange(10, dtype=elites.generations.dtype)
        ids[[2, 7]], ids[5] = ids[4], -1
        elites = replace(elites, ids=ids, probabilities=probabilities, generations=generations)
        run = replace(checkpoint.runs[0], elites=elites)
        writer.commit(Checkpoint(0, (run, checkpoint.runs[1])), complete=True)
    return StoreReader(path)


def test_each_genome_is_there_once_where_it_is_surest(shared: StoreReader) -> None:
    assert choose(shared, 0, "confidence") == [4, 8, 0, 6, 3, 1, 9]
    assert choose(shared, 0, "confidence", top=2) == [4, 8]
    assert choose(shared, 0, "class") == [0, 1, 3, 4, 6, 8, 9]
    assert choose(shared, 0, "generation", top=3) == [9, 8, 6]


def test_names_are_in_their_order(shared: StoreReader) -> None:
    names = [shared.classes[class_] for class_ in arrange(shared, 0, range(10), "name")]
    assert names == sorted(names)


@pytest.mark.parametrize(("count", "grid"), SIZES.items())
def test_the_grid_has_no_gaps_where_there_is_a_good_one(
    evolved: Path, count: int, grid: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("islands.reports.sheets.render_all", lambda *_: ())
    reader = StoreReader(evolved)
    monkeypatch.setattr(reader, "elite_columns", lambda *_: {"confidence": [0.5], "id": [-1]})
    height, width, _ = contact_sheet(reader, [0] * count).shape
    assert (width, height) == (8 + grid[0] * 136, 8 + grid[1] * 164)


def test_the_command_draws_the_best(evolved: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert islands(["show", str(evolved), "--sheet", "--top", "4", "--columns", "3", "--out", str(out)]) == 0
    with Image.open(out) as image:
        sheet = np.asarray(image)
    reader = StoreReader(evolved)
    best = choose(reader, 0, "confidence", top=4)
    assert reader.confidence(0)[best[0]] == reader.confidence(0).max()
    assert sheet.shape == (8 + 2 * 164, 8 + 3 * 136, 3)
    for place, class_ in enumerate(best):
        x, y = 8 + place % 3 * 136, 8 + place // 3 * 164
        picture = Image.fromarray(render_elite(reader, class_)[:, :, 0]).convert("RGB")
        expected = picture.resize((128, 128), Image.Resampling.NEAREST)
        np.testing.assert_array_equal(sheet[y : y + 128, x : x + 128], expected)
    assert sheet[0, 0, 0] == 255


def test_classes_are_drawn_as_they_are_listed_unless_sorted(evolved: Path, tmp_path: Path) -> None:
    reader = StoreReader(evolved)
    show = ["show", str(evolved), "--sheet", "--classes", "3,1,2", "--dark"]
    for options, listed in (([], [3, 1, 2]), (["--sort", "class"], [1, 2, 3]), (["--top", "2"], [3, 1])):
        assert islands([*show, *options, "--force", "--out", str(tmp_path / "x.png")]) == 0
        with Image.open(tmp_path / "x.png") as image:
            np.testing.assert_array_equal(np.asarray(image), contact_sheet(reader, listed, dark=True))


@pytest.mark.parametrize("option", [["--dark"], ["--top", "3"], ["--sort", "name"], ["--columns", "2"]])
def test_an_option_of_sheets_needs_one(
    evolved: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert islands(["show", str(evolved), "--class", "3", *option]) == 2
    assert "are for --sheet" in capsys.readouterr().err
