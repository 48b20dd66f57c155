from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from PIL import Image

from islands.cli.main import execute as islands
from islands.errors import InputError, StoreError
from islands.evolution.checkpoint import Checkpoint
from islands.files import BEGUN
from islands.store.export import Layout, export
from islands.store.images import render_elite, stored_encoding
from islands.store.labels import read_label
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter
from tests.store.samples import make_checkpoint, make_names, make_store

K = 10

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[("direct", 1), ("direct", 3), ("cppn", 3)], ids=str)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with real genomes of 8 x 8 pixels; the cell of class 9 of run 1 is empty."""
    encoding, channels = request.param
    path = tmp_path_factory.mktemp("drawn") / "run"
    with make_store(path, k=K, encoding=encoding, channels=channels, size=8) as writer:
        coder = stored_encoding(StoreReader(path))
        checkpoint = make_checkpoint(3, 2, k=K)
        runs = []
        for number, run in enumerate(checkpoint.runs):
            genomes = coder.to_arrays(coder.random(K, torch.Generator().manual_seed(number)))
            letters = {name: array[: len(run.mail.elites)] for name, array in genomes.items()}
            mail = replace(run.mail, elites=replace(run.mail.elites, genomes=letters))
            runs.append(replace(run, elites=replace(run.elites, genomes=genomes), mail=mail))
        runs[1].elites.ids[9] = -1
        writer.commit(Checkpoint(2, tuple(runs)), complete=True)
    return path


def _scored(store: Path, run: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """What evolution scored: (K, C, H, W) uint8, rendered as one batch."""
    reader = StoreReader(store)
    coder = stored_encoding(reader)
    return coder.render(coder.from_arrays(reader.elites(run).genomes, torch.device("cpu"))).numpy()


class TestRender:
    def test_bytes_as_scored(self, drawn: Path) -> None:
        reader = StoreReader(drawn)
        for class_, image in enumerate(_scored(drawn, 0)):
            np.testing.assert_array_equal(render_elite(reader, class_), image.transpose(1, 2, 0))

    def test_other_size(self, drawn: Path) -> None:
        reader = StoreReader(drawn)
        picture = render_elite(reader, 3, size=32)
        assert picture.shape[:2] == (32, 32)
        if reader.config.encoding.name == "direct":
            np.testing.assert_array_equal(picture, render_elite(reader, 3).repeat(4, 0).repeat(4, 1))

    def test_empty_cell(self, drawn: Path) -> None:
        with pytest.raises(StoreError, match="no elite of class 9"):
            render_elite(StoreReader(drawn), 9, run=1)

    def test_unknown_class(self, drawn: Path) -> None:
        with pytest.raises(StoreError, match="classes 0 to 9"):
            render_elite(StoreReader(drawn), 10)


class TestExport:
    @pytest.mark.parametrize("layout", ["paper", "flat"])
    def test_images_as_scored(self, drawn: Path, tmp_path: Path, layout: Layout) -> None:
        """Each elite has a PNG of the bytes that were scored, and the manifest has its hash."""
        count = export(StoreReader(drawn), tmp_path / "out", layout)
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        files = {path: tmp_path / "out" / path for path in manifest["sha256"]}
        assert count == len(files) + 1
        assert sum(path.endswith(".png") for path in files) == 2 * K - 1
        for path, digest in manifest["sha256"].items():
            assert sha256(files[path].read_bytes()).hexdigest() == digest
        confidence = StoreReader(drawn).elites(1).confidence
        name = {"paper": f"run_1/map_gen_20/map_20_4_{confidence[4]:.6g}.png", "flat": "run-1_class-0004.png"}
        with Image.open(files[name[layout]]) as image:
            picture = np.asarray(image)
        np.testing.assert_array_equal(picture, _scored(drawn, 1)[4].transpose(1, 2, 0).squeeze())

    @pytest.mark.parametrize("layout", ["paper", "flat", "folder", "cells"])
    def test_csv(self, drawn: Path, tmp_path: Path, layout: Layout) -> None:
        """Each picture has a row with its name and full confidence, and says the same itself."""
        export(StoreReader(drawn), tmp_path, layout)
        with (tmp_path / "images.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["file"] for row in rows} == {
            path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")
        }
        stored = [StoreReader(drawn).confidence(run) for run in range(2)]
        for row in rows:
            assert row["name"] == make_names(K)[int(row["class"])]
            assert np.float32(row["confidence"]) == stored[int(row["run"])][int(row["class"])]
            label = read_label(tmp_path / row["file"])
            assert all(label[key] == row[key] for key in ("class", "name", "confidence", "run"))
            assert label["genome"] == row["id"]

    def test_zarr(self, drawn: Path, tmp_path: Path) -> None:
        """A plain Zarr directory holds the same arrays and attributes."""
        count = export(StoreReader(drawn), tmp_path / "out.zarr", "zarr")
        manifest = json.loads((tmp_path / "out.zarr" / "manifest.json").read_text())
        assert len(manifest["sha256"]) == count - 1 > 30
        root = zarr.open_group(tmp_path / "out.zarr", mode="r")
        assert root.attrs.asdict() == StoreReader(drawn).attributes
        got = root["evolve/run-1/elites/probabilities"]
        assert isinstance(got, zarr.Array)
        np.testing.assert_array_equal(np.asarray(got[:]), StoreReader(drawn).elites(1).probabilities)

    @pytest.mark.parametrize("names", [["mine"], ["images.csv", BEGUN]])
    def test_refuses_filled_folder(self, drawn: Path, tmp_path: Path, names: list[str]) -> None:
        for name in names:
            (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="not empty"):
            export(StoreReader(drawn), tmp_path, "paper")
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "mine")

    def test_a_killed_export_is_no_export_and_in_nobodys_way(self, drawn: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        ended = subprocess.run([sys.executable, "-c", EXPORT_AND_DIE, drawn, out], cwd=ROOT, check=False)
        assert ended.returncode == -signal.SIGKILL
        assert [path.name for path in out.iterdir()] == [BEGUN]
        count = export(StoreReader(drawn), out, "flat")
        assert count == len([path for path in out.iterdir() if path.name != BEGUN])
        assert not (out / BEGUN).exists()
        with pytest.raises(InputError, match="not empty"):
            export(StoreReader(drawn), out, "flat")


EXPORT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from islands.store import export
from islands.store.reader import StoreReader

export._write_manifest = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
export.export(StoreReader(sys.argv[1]), Path(sys.argv[2]), "flat")
"""


class TestCommands:
    def test_show(self, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "one.png"
        assert islands(["show", str(drawn), "--class", "class 3", "--size", "24", "--out", str(out)]) == 0
        with Image.open(out) as image:
            assert image.size == (24, 24)
        assert "class 3" in capsys.readouterr().out

    def test_sheet(self, drawn: Path, tmp_path: Path) -> None:
        """Empty cells leave a blank place where their classes were asked for, and have none otherwise."""
        out = tmp_path / "sheet.png"
        show = ["show", str(drawn), "--sheet", "--run", "1", "--out", str(out)]
        assert islands([*show, "--classes", "0-9"]) == 0
        with Image.open(out) as image:
            tiles = [np.asarray(image)[172:300, x : x + 128] for x in range(8, 688, 136)]
        assert [(tile == 255).all() for tile in tiles] == [False] * 4 + [True]
        assert islands([*show, "--force"]) == 0
        with Image.open(out) as image:
            assert image.size == (8 + 3 * 136, 8 + 3 * 164)

    def test_show_needs_a_subject(self, drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert islands(["show", str(drawn)]) == 2
        assert "--sheet" in capsys.readouterr().err

    def test_status(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert islands(["status", str(store)]) == 0
        assert f"islands resume {store}" in capsys.readouterr().out
        assert islands(["status", str(store), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["generation"] == 30

    def test_query_formats(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sql = "select class, name, confidence, 'inf'::float as worst from elites where run = 0 order by class"
        answers = {}
        for name in ("table", "csv", "json"):
            assert islands(["query", str(store), sql, "--format", name]) == 0
            answers[name] = capsys.readouterr().out
        rows = json.loads(answers["json"])
        assert [row["name"] for row in rows] == make_names(K)
        assert rows[0]["worst"] is None
        assert [row["name"] for row in csv.DictReader(answers["csv"].splitlines())] == make_names(K)
        assert len(answers["table"].splitlines()) == K + 1

    def test_query_schema(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert islands(["query", str(store), "--schema"]) == 0
        assert "median_confidence" in capsys.readouterr().out
        assert islands(["query", str(store)]) == 2
        assert islands(["query", str(store), "--preset", "bets"]) == 2
        assert "best" in capsys.readouterr().err

    def test_query_to_a_file(self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "elites.parquet"
        asked = ["query", str(store), "from elites", "--format", "parquet"]
        assert islands([*asked, "--out", str(out)]) == 0
        assert out.exists()
        assert islands(asked) == 2
        assert "--out" in capsys.readouterr().err

    def test_export(self, drawn: Path, tmp_path: Path) -> None:
        assert islands(["export", str(drawn), str(tmp_path / "out"), "--layout", "zarr"]) == 0
        assert islands(["export", str(drawn), str(tmp_path / "out")]) == 2

    def test_writer_does_not_disturb(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A store can be queried while it is written."""
        with StoreWriter.open(store):
            assert islands(["query", str(store), "select count(*) from elites"]) == 0
        assert "20" in capsys.readouterr().out
