"""Drawings of networks, blocks in a terminal, figures, and the bad input of the commands that look."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from islands.cli.main import execute as islands
from islands.encodings.cppn import CODES, CppnEncoding
from islands.encodings.settings import CppnSettings
from islands.reports.figures import FIGURES
from islands.reports.moving import in_blocks
from islands.reports.network_drawing import FUNCTIONS, INPUTS, lay_out
from islands.store.images import render_elite
from islands.store.reader import StoreReader

Capture = pytest.CaptureFixture[str]


def test_functions_have_the_names_of_their_codes() -> None:
    assert {name: FUNCTIONS[code].lower() for name, code in CODES.items()} == {name: name for name in CODES}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_is_drawn_with_all_it_has(channels: int) -> None:
    encoding = CppnEncoding(CppnSettings(), channels, 8)
    generator = torch.Generator().manual_seed(1)
    genomes = encoding.random(20, generator)
    for generation in range(1, 30):
        genomes = encoding.vary(genomes, genomes, generation, generator).genomes
    arrays = encoding.to_arrays(genomes)
    hidden = 0
    for row in range(20):
        genome = {name: array[row : row + 1] for name, array in arrays.items()}
        nodes, connections = lay_out(genome, channels)
        assert len(connections) == np.count_nonzero(genome["targets"])
        assert len(nodes) == len(INPUTS) + np.count_nonzero(genome["functions"])
        assert len({(node.layer, node.place) for node in nodes}) == len(nodes)
        for source, target, weight in connections:
            assert nodes[source].layer < nodes[target].layer
            assert -1 <= weight <= 1
        hidden += len(nodes) - len(INPUTS) - channels
    assert hidden > 20


def test_blocks_have_the_colours_of_the_pixels() -> None:
    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    text = in_blocks(picture, 4)
    assert text.plain == "▀▀▀▀\n▀▀▀▀\n"
    first = text.spans[0].style
    assert str(first) == "rgb(0,1,2) on rgb(12,13,14)"


def test_show_draws_networks_animations_and_blocks(
    evolved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show = ["show", str(evolved), "--class", "lion"]
    assert islands([*show, "--network", "--out", str(tmp_path / "network.svg")]) == 0
    assert "</svg>" in (tmp_path / "network.svg").read_text()
    assert islands([*show, "--size", "40", "--out", str(tmp_path / "ancestors.webp")]) == 0
    with Image.open(tmp_path / "ancestors.webp") as image:
        assert (image.size, image.is_animated) == ((240, 260), True)  # type: ignore[attr-defined]
    capsys.readouterr()
    assert islands([*show, "--terminal"]) == 0
    assert "▀" in capsys.readouterr().out
    assert islands([*show, "--terminal", "--network"]) == 2


def test_a_large_picture_is_the_same_as_a_small_one_and_sharper(evolved: Path, tmp_path: Path) -> None:
    out = tmp_path / "large.png"
    assert islands(["show", str(evolved), "--class", "9", "--size", "2100", "--out", str(out)]) == 0
    with Image.open(out) as image:
        picture = np.asarray(image)
    np.testing.assert_array_equal(picture, render_elite(StoreReader(evolved), 9, 0, 2100)[:, :, 0])


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("width", "inches"), [("single", 3.4), ("double", 7.0)])
def test_every_figure_is_drawn(scored: Path, tmp_path: Path, name: str, width: str, inches: float) -> None:
    out = tmp_path / "figure.pdf"
    assert islands(["figure", str(scored), name, "--out", str(out), "--width", width]) == 0
    data = out.read_bytes()
    assert data.startswith(b"%PDF")
    assert b"/Type3" not in data  # journals refuse it
    (box,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) ", data)
    assert float(box) == pytest.approx(72 * inches, abs=1)


def test_text_of_figures_stays_text(scored: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.svg"
    assert islands(["figure", str(scored), "tree", "--out", str(out)]) == 0
    assert ">lion<" in out.read_text() or "tench" in out.read_text()
    assert islands(["figure", str(scored), "confidence", "--force", "--out", str(out)]) == 0
    text = out.read_text()
    assert "10 %" in text
    assert "#0072b2" in text
    assert "stroke-dasharray" in text  # the second run is told apart without colours


def test_stores_are_compared(evolved: Path, scored: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "figure.svg"
    assert islands(["figure", str(evolved), "compare", "--with", str(scored), "--out", str(out)]) == 0
    assert islands(["figure", str(evolved), "tree", "--with", str(scored)]) == 2
    assert "got 2 stores; the figure tree is of one" in capsys.readouterr().err


def test_the_old_word_for_elites_warns(
    evolved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert islands(["figure", str(evolved), "champions"]) == 0
    said = capsys.readouterr()
    assert said.out == "wrote run-elites.pdf\n"
    assert said.err.startswith("warning: the figure champions is now elites;")


def test_what_a_figure_lacks_is_told(tmp_path: Path, evolved: Path, capsys: Capture) -> None:
    assert islands(["figure", str(evolved), "transfer"]) == 2
    assert "no scores of held-out networks; `islands score` adds them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["figure", "STORE", "pie"], "histogram"),
        (["figure", "STORE", "tree", "--out", "x.doc"], ".pdf"),
        (["report", "STORE", "--out", "."], "is a folder"),
        (["report", "none"], "no store"),
        (["report", "STORE", "--at", "99"], "no checkpoint 99"),
        (["view", "STORE", "--host", "192.0.2.1"], "--host"),
    ],
)
def test_bad_input_is_one_line(
    evolved: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert islands([str(evolved) if each == "STORE" else each for each in arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_an_empty_store_has_nothing_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.reports.conftest import new_store

    with new_store(tmp_path / "run"):
        for command in (["report"], ["lineage"], ["figure", "tree"], ["show", "--class", "0"]):
            name, *rest = command
            assert islands([name, str(tmp_path / "run"), *rest]) == 2
            assert "no checkpoint yet" in capsys.readouterr().err


def test_names_of_classes_cannot_escape_the_folder(evolved: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    assert islands(["export", str(evolved), str(out), "--layout", "folder"]) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 22
    assert all(path.is_relative_to(out) for path in files)
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert folders[:3] == ["0000_tench", "0001_img_src_x_onerror_hacked_1", "0002_etc_passwd"]
