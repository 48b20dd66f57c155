"""Exports as benchmarks of out-of-distribution detection, read by the benchmarks' own readers.

OpenOOD is on no package index; pytorch-ood's `ImageListDataset` reads the lists that OpenOOD reads.
"""

from __future__ import annotations

import csv
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import islands
from islands.classifiers.torchvision_cpu import import_torchvision
from islands.cli.main import execute
from islands.config.changes import require_same_meaning
from islands.experiments.configure import load_run_config
from tests.store.samples import make_checkpoint, make_store

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> islands.Results:
    """Two runs of digits."""
    import_torchvision()  # it is made to load first
    return islands.evolve(
        "linear-mnist",
        store=tmp_path_factory.mktemp("evolved") / "my run",
        generations=10,
        evolve={"children": 20, "initial": 20},
        runs=2,
        progress=False,
    )


def images_of(run: islands.Results) -> set[bytes]:
    return {run.image(class_, run=number).tobytes() for number in range(2) for class_ in range(10)}


def shown_by(dataset: Any) -> set[bytes]:
    found = set()
    for number in range(len(dataset)):
        image, target = dataset[number]
        assert target == -1
        with image:
            found.add(np.asarray(image).tobytes())
    return found


def test_pytorch_ood_reads_its_layout(evolved: islands.Results, tmp_path: Path) -> None:
    from pytorch_ood.dataset.img import FoolingImages

    class Evolved(FoolingImages):  # type: ignore[misc]
        def _check_integrity(self) -> bool:
            return True

    folder = tmp_path / "benchmark"
    assert execute(["export", str(evolved.reader.path), str(folder), "--layout", "pytorch-ood"]) == 0
    found = Evolved(str(folder))
    assert len(found) == 20
    assert shown_by(found) == images_of(evolved)


def test_image_lists_are_read(evolved: islands.Results, tmp_path: Path) -> None:
    from pytorch_ood.dataset.img import ImageListDataset

    folder = tmp_path / "benchmark"
    islands.export(evolved.reader.path.path, folder, layout="openood")
    found = ImageListDataset(str(folder), str(folder / "fooling.txt"))
    assert shown_by(found) == images_of(evolved)
    assert found.labels == [-1] * 20
    for line in (folder / "fooling.txt").read_text().splitlines():
        assert re.fullmatch(r"fooling/[^ ]+\.png -1", line)


@pytest.mark.parametrize("layout", ["pytorch-ood", "openood"])
def test_the_sheet_says_how_they_were_made(evolved: islands.Results, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "benchmark"
    execute(["export", str(evolved.reader.path), str(folder), "--layout", layout])
    sheet = (folder / "datasheet.md").read_text()
    for heading in ("Source and licence", "How they were made", "Digests", "How to read them"):
        assert f"## {heading}" in sheet
    assert all(evolved.reader.digest(run) in sheet for run in range(2))
    assert str(tmp_path) not in sheet
    (settings,) = re.findall(r"```yaml\n(.*?)```", sheet, re.DOTALL)
    assert yaml.safe_load(settings)["runs"] == 2
    file = tmp_path / "again.yaml"
    file.write_text(settings)
    require_same_meaning(evolved.reader.config, load_run_config(str(file)))
    manifest = json.loads((folder / "manifest.json").read_text())["sha256"]
    assert manifest["datasheet.md"] == sha256(sheet.encode()).hexdigest()
    with (folder / "images.csv").open(newline="") as rows:
        assert all((folder / row["file"]).is_file() for row in csv.DictReader(rows))


def test_more_runs_than_the_reader_sees_are_refused(tmp_path: Path, capsys: Capture) -> None:
    with make_store(tmp_path / "run", runs=11) as writer:
        writer.commit(make_checkpoint(1, 0, runs=11), complete=False)
    command = ["export", str(tmp_path / "run"), str(tmp_path / "out"), "--layout", "pytorch-ood"]
    assert execute(command) == 2
    assert (
        "has 11 runs, and pytorch-ood reads the first 10 alone; use --layout openood"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
