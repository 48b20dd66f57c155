"""What pictures say of themselves, and the commands that they name."""

from __future__ import annotations

import shlex
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, PngImagePlugin

from islands.cli.main import execute
from islands.store.labels import as_text_chunks, read_label
from islands.store.png import save_in_bands
from islands.store.reader import StoreReader
from islands.texts import islands_version


def pixels(file: Path) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    "options",
    [
        ["--class", "3", "--run", "1"],
        ["--class", "3", "--size", "40"],
        ["--class", "3", "--size", "2100"],
        ["--class", "3", "--network"],
        ["--sheet", "--top", "3", "--columns", "2", "--dark"],
        ["--sheet", "--classes", "4,9,2", "--sort", "name"],
    ],
    ids=" ".join,
)
def test_the_command_of_a_picture_draws_it_again(evolved: Path, tmp_path: Path, options: list[str]) -> None:
    assert execute(["show", str(evolved), *options, "--out", str(tmp_path / "first.png")]) == 0
    name, *words = shlex.split(read_label(tmp_path / "first.png")["command"])
    assert name == "islands"
    assert execute([*words, "--out", str(tmp_path / "second.png")]) == 0
    np.testing.assert_array_equal(pixels(tmp_path / "first.png"), pixels(tmp_path / "second.png"))
    assert read_label(tmp_path / "first.png") == read_label(tmp_path / "second.png")


def test_a_picture_says_what_it_is(evolved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, reader = tmp_path / "one.png", StoreReader(evolved)
    assert execute(["show", str(evolved), "--class", "7", "--out", str(file)]) == 0
    label = read_label(file)
    elites = reader.elites(0)
    assert np.float32(label["confidence"]) == elites.confidence[7]
    assert label == {
        "class": "7",
        "name": "clässe",
        "confidence": label["confidence"],
        "genome": str(elites.ids[7]),
        "run": "0",
        "store": "run",
        "network": reader.config.network.name,
        "fingerprint": "f" * 64,
        "snapshot": reader.session.snapshot_id,
        "epoch": str(reader.epoch),
        "generation": str(reader.generation),
        "version": islands_version(),
        "command": label["command"],
    }
    capsys.readouterr()
    assert execute(["show", str(file)]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told == label


def test_a_sheet_says_whose_images_it_has(
    evolved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, reader = tmp_path / "sheet.png", StoreReader(evolved)
    assert execute(["show", str(evolved), "--sheet", "--classes", "9,0", "--out", str(file)]) == 0
    first, second = read_label(file)["elites"].splitlines()
    ids, confidence = reader.elites(0).ids, reader.confidence(0)
    assert first == f"class 9 (lion): confidence {confidence[9]}, genome {ids[9]}"
    assert second.startswith("class 0 (tench): ")
    capsys.readouterr()
    assert execute(["show", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"elites         {first}\n               {second}\nrun ")


def test_labels_in_bands_are_those_of_pillow(tmp_path: Path) -> None:
    label = {"name": "clässe, 日本", "elites": "two\nlines", "command": "islands show 'my run'"}
    picture = np.arange(70 * 3 * 3, dtype=np.uint8).reshape(70, 3, 3)
    save_in_bands(picture, tmp_path / "bands.png", as_text_chunks(label))
    Image.fromarray(picture).save(tmp_path / "pillow.png", pnginfo=as_text_chunks(label))
    assert read_label(tmp_path / "bands.png") == read_label(tmp_path / "pillow.png") == label
    np.testing.assert_array_equal(pixels(tmp_path / "bands.png"), picture)


def test_what_a_terminal_might_obey_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = as_text_chunks({"name": "\x1b]0;title\x07", "run\x1b[2J": "0"})
    Image.new("L", (1, 1)).save(tmp_path / "foreign.png", pnginfo=texts)
    assert execute(["show", str(tmp_path / "foreign.png")]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "name           \\x1b]0;title\\x07"
    assert "\x1b" not in told


@pytest.mark.parametrize("content", ["none", "foreign", "text"])
def test_a_file_that_says_nothing_is_told_in_a_line(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.png"
    if content == "text":
        file.write_text("no picture")
    else:
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", "another")
        Image.new("L", (1, 1)).save(file, pnginfo=info if content == "foreign" else None)
    assert execute(["show", str(file)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {file} ")
    assert told.err.count("\n") == 1


def test_a_file_takes_no_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "x.png")
    assert execute(["show", str(tmp_path / "x.png"), "--class", "3"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_a_checkout_has_a_version_that_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("islands.texts.version", missing)
    assert islands_version.__wrapped__() == "unknown"
