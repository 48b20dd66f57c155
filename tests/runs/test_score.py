"""Scoring after the fact, and the report on it, on real stores."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from PIL import Image

import islands
from islands.classifiers.lenet import build_lenet
from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.config import NetworkConfig, ScorersConfig
from islands.datasets.mnist import load_mnist
from islands.errors import InputError
from islands.reports.data import collect
from islands.reports.server import Linked
from islands.runs.comparison import transfer
from islands.runs.controls import generation_0
from islands.runs.labelled_pictures import PictureFolder
from islands.runs.resume import resume
from islands.runs.score import score_folder, score_store
from islands.store.images import render_elite
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.repository import open_repository
from islands.store.writer import StoreWriter
from islands.transfers.tables import as_text

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]
LINEAR = NetworkConfig(name="linear-mnist")
SMALL: dict[str, Any] = {"initial": 20, "children": 20}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of 2 runs, scored on `linear-mnist` while it evolved."""
    path = tmp_path_factory.mktemp("score") / "run"
    islands.evolve(
        "lenet-mnist", generations=20, store=path, runs=2, evolve=SMALL, held_out=["linear-mnist"], seed=4
    )
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "run #1, $nothing"))


def expected(store: Path, network: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the probabilities (runs, K, K) of all elites, from their pictures."""
    reader = StoreReader(store)
    classifier = load_classifier(network, device=torch.device("cpu"))
    found = []
    for number in range(reader.runs):
        pictures = [render_elite(reader, class_, number) for class_ in range(10)]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        found.append(classifier.predict(images).probabilities.numpy())
    return np.stack(found)


def test_a_completed_run_has_all_scores(store: Path) -> None:
    (scores,) = StoreReader(store).scores()
    assert scores.name == "linear-mnist"
    own = np.arange(10)
    for number, probabilities in enumerate(expected(store, "linear-mnist")):
        np.testing.assert_allclose(
            scores.runs[number].target_probability, probabilities[own, own], rtol=1e-4, atol=1e-6
        )
    assert query(store, "select count(*), sum(late::int) from scores").rows == [(20, 0)]


def test_another_network_is_added_by_command(store: Path, capsys: Capture) -> None:
    assert execute(["score", str(store), "--network", "svm-mnist", "--full"]) == 0
    assert capsys.readouterr().out.startswith("svm-mnist: ")
    _, scores = StoreReader(store).scores()
    for found, probabilities in zip(scores.runs, expected(store, "svm-mnist"), strict=True):
        assert found.probabilities is not None
        np.testing.assert_allclose(found.probabilities, probabilities, rtol=1e-4, atol=1e-6)
    assert query(store, "select distinct network from scores order by 1").rows == [
        ("linear-mnist",),
        ("svm-mnist",),
    ]


def test_an_earlier_checkpoint_is_scored_into_a_file(store: Path, tmp_path: Path, capsys: Capture) -> None:
    before = StoreReader(store).session.snapshot_id
    file = tmp_path / "scores.json"
    asked = ["score", str(store), "--network", "svm-mnist", "--at", "0", "--full", "--out", str(file)]
    assert execute(asked) == 0
    rows = json.loads(file.read_text())
    assert len(rows) == 20
    assert {row["epoch"] for row in rows} == {0}
    assert all(len(row["probabilities"]) == 10 for row in rows)
    assert StoreReader(store).session.snapshot_id == before


def test_a_store_that_is_being_written_says_so(store: Path, tmp_path: Path, capsys: Capture) -> None:
    with StoreWriter.open(store):
        assert execute(["score", str(store), "--network", "svm-mnist"]) == 2
        error = capsys.readouterr().err
        assert "is being written by" in error
        assert "--out" in error
        out = tmp_path / "x.csv"
        assert execute(["score", str(store), "--network", "svm-mnist", "--out", str(out)]) == 0
    assert len(list(csv.DictReader(out.read_text().splitlines()))) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "lenet-mnist"], "is the source network"),
        (["--network", "{name: svm-mnist, veiw: center}"], "did you mean 'view'?"),
        (["--network", "svm-mnistt"], "did you mean 'svm-mnist'?"),
        (["--network", "svm-mnist", "--at", "99"], "has no checkpoint 99"),
        (["--network", "svm-mnist", "--out", "x.txt"], "ends in .json or .csv"),
        (["--network", "svm-mnist", "--full", "--out", "x.csv"], "no place for the probabilities"),
    ],
)
def test_mistakes_are_told_in_a_line(
    store: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    before = StoreReader(store).session.snapshot_id
    assert execute(["score", str(store), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert StoreReader(store).session.snapshot_id == before


def test_a_resume_may_add_a_network_to_a_complete_run(store: Path) -> None:
    elites = StoreReader(store).elites(1)
    resume(str(store), ["held_out=[linear-mnist, svm-mnist]"])
    reader = StoreReader(store)
    assert [scores.name for scores in reader.scores()] == ["linear-mnist", "svm-mnist"]
    assert (reader.elites(1).ids == elites.ids).all()
    with pytest.raises(InputError, match="is complete"):
        resume(str(store), ["held_out=[linear-mnist, svm-mnist]"])


def test_scores_of_another_network_stay_when_evolution_goes_on(store: Path) -> None:
    score_store(store, [NetworkConfig(name="svm-mnist")], scorers=ScorersConfig(count=2), full=True)
    resume(str(store), ["evolve.generations=40"])
    late = dict(query(store, "select network, sum(late::int) from scores group by network").rows)
    assert late["linear-mnist"] == 0
    assert late["svm-mnist"] > 0
    found = transfer([store], controls=0)
    entry = next(entry for entry in found.entries if entry.target == "svm-mnist")
    assert (entry.missing, entry.n) == (late["svm-mnist"], 20 - late["svm-mnist"])
    assert any("islands score" in remark for remark in found.remarks)


@pytest.mark.parametrize("layout", ["paper", "flat", "folders"])
def test_a_folder_of_images_scores_as_the_store_does(store: Path, tmp_path: Path, layout: str) -> None:
    out = tmp_path / "out"
    if layout == "folders":
        for class_ in range(10):
            (out / str(class_)).mkdir(parents=True)
            for number in (0, 1):
                picture = render_elite(StoreReader(store), class_, number)[:, :, 0]
                Image.fromarray(picture).convert("RGB").save(out / str(class_) / f"{number}.png")
    else:
        assert execute(["export", str(store), str(out), "--layout", layout]) == 0
    columns = score_folder(out, [LINEAR, NetworkConfig(name="svm-mnist")], full=True)
    assert len(columns["file"]) == 40
    probabilities = expected(store, "svm-mnist").reshape(20, 10)
    rows = columns["network"] == "svm-mnist"
    found = columns["probabilities"][rows]
    order = np.lexsort((columns["file"][rows].astype(str), columns["class"][rows]))
    by_class = probabilities.reshape(2, 10, 10).transpose(1, 0, 2).reshape(20, 10)
    np.testing.assert_allclose(found[order], by_class, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layout", ["paper", "flat", "folder", "cells", "zarr"])
def test_an_export_reads_back_with_the_stored_scores(
    store: Path, tmp_path: Path, capsys: Capture, layout: str
) -> None:
    out = tmp_path / "out"
    assert execute(["export", str(store), str(out), "--layout", layout]) == 0
    capsys.readouterr()
    assert execute(["score", str(out), "--network", "lenet-mnist", "--json"]) == 0
    told = capsys.readouterr()
    assert "indices" not in told.err
    rows = sorted(json.loads(told.out), key=lambda row: (row["class"], row["file"]))
    reader = StoreReader(store)
    own = np.stack([reader.elites(number).confidence for number in range(2)], 1).ravel()
    got = np.array([row["target_probability"] for row in rows])
    assert len(rows) == 20
    np.testing.assert_allclose(np.sort(got.reshape(10, 2)), np.sort(own.reshape(10, 2)), rtol=1e-5)
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    pictures = sorted(PictureFolder(out).shown_to(classifier), key=lambda each: (each.class_, each.file))
    for picture in pictures:
        drawn = [render_elite(reader, picture.class_, number).transpose(2, 0, 1) for number in range(2)]
        assert any(np.array_equal(picture.pixels, each) for each in drawn)


def test_an_export_goes_by_name_on_a_network_whose_classes_are_in_another_order(
    store: Path, tmp_path: Path, backwards: str, capsys: Capture
) -> None:
    for layout in ("flat", "folder"):
        out = tmp_path / layout
        assert execute(["export", str(store), str(out), "--layout", layout]) == 0
        capsys.readouterr()
        assert execute(["score", str(out), "--network", backwards, "--json"]) == 0
        found = [row["target_probability"] for row in json.loads(capsys.readouterr().out)]
        assert execute(["score", str(out), "--network", "lenet-mnist", "--json"]) == 0
        own = [row["target_probability"] for row in json.loads(capsys.readouterr().out)]
        np.testing.assert_allclose(found, own, rtol=1e-4)


def test_folders_whose_classes_are_numbers_go_by_name(
    tmp_path: Path, backwards: str, capsys: Capture
) -> None:
    digits = load_mnist("test")
    for digit in range(10):
        (tmp_path / str(digit)).mkdir()
        image = digits.images[(digits.labels == digit).nonzero()[0, 0]][0].numpy()
        Image.fromarray(image).save(tmp_path / str(digit) / "a.png")
    assert execute(["score", str(tmp_path), "--network", backwards, "--network", "lenet-mnist"]) == 0
    assert [line.partition(": ")[2][:8] for line in capsys.readouterr().out.splitlines()] == ["10 of 10"] * 2


@pytest.fixture(scope="module")
def backwards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged LeNet with its outputs in another order, and class names that are numbers."""
    file = tmp_path_factory.mktemp("own") / "backwards.py"
    file.write_text(BACKWARDS)
    return f"file:{file}:build"


BACKWARDS = """
from torch import nn
from islands.classifiers.lenet import load_lenet

def build():
    module = load_lenet(None).module
    module.append(Turned())
    module.classes, module.input_size, module.channels = list("9876543210"), 28, 1
    return module

class Turned(nn.Module):
    def forward(self, x):
        return x.flip(1)
"""


class TestFolders:
    """What a folder is called, as a network of certain classes understands it."""

    def meant(self, folder: Path, *classes: str) -> dict[str, int]:
        network: Any = SimpleNamespace(name="sample", classes=classes, channels=1)
        return {picture.file: picture.class_ for picture in PictureFolder(folder).shown_to(network)}

    def put(self, root: Path, *files: str) -> None:
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (2, 2)).save(root / file, "PNG")

    def test_numbers_that_sort_as_text(self, tmp_path: Path) -> None:
        names = sorted(map(str, range(1, 13)))
        self.put(tmp_path, *(f"{name}/a.png" for name in names))
        assert self.meant(tmp_path, *names) == {f"{name}/a.png": i for i, name in enumerate(names)}

    def test_indices_where_no_folder_bears_a_name_and_it_says_so(
        self, tmp_path: Path, capsys: Capture
    ) -> None:
        self.put(tmp_path, "0/a.png", "1/a.png")
        assert self.meant(tmp_path, "cat", "dog") == {"0/a.png": 0, "1/a.png": 1}
        assert "taken for indices" in capsys.readouterr().err

    def test_names_and_indices_do_not_mix(self, tmp_path: Path) -> None:
        self.put(tmp_path, "0/a.png", "2/a.png")
        with pytest.raises(InputError, match=r"0/a\.png: .* not taken for an index"):
            self.meant(tmp_path, "1", "2")

    def test_the_nearest_folder_that_is_a_class(self, tmp_path: Path) -> None:
        self.put(tmp_path, "train/dog/b/a.png", "cat/a.png", "DOG/a.png")
        found = self.meant(tmp_path, "cat", "dog")
        assert found == {"train/dog/b/a.png": 1, "cat/a.png": 0, "DOG/a.png": 1}
        assert self.meant(tmp_path / "cat", "cat", "dog") == {"a.png": 0}

    def test_classes_in_names_have_any_suffix(self, tmp_path: Path) -> None:
        self.put(tmp_path, "map_10_1_0.5.PNG", "map_10_0_1e-05.jpg", "dog/run-3_class-0001.png")
        assert set(self.meant(tmp_path, "cat", "dog").values()) == {0, 1}
        with pytest.raises(InputError, match="got class 1; there are classes 0 to 0"):
            self.meant(tmp_path, "cat")

    def test_hidden_files_and_folders_are_no_pictures(self, tmp_path: Path) -> None:
        junk = (
            "cat/._a.png",
            ".ipynb_checkpoints/a.png",
            "cat/.ipynb_checkpoints/a.png",
            "__MACOSX/cat/a.png",
        )
        self.put(tmp_path, "cat/a.PNG", *junk)
        (tmp_path / "cat/Thumbs.db").write_bytes(b"")
        assert self.meant(tmp_path, "cat") == {"cat/a.PNG": 0}


def test_a_folder_without_classes_or_images_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert execute(["score", str(tmp_path), "--network", "svm-mnist"]) == 2
    assert "has no pictures" in capsys.readouterr().err
    Image.new("L", (28, 28)).save(tmp_path / "what.png")
    assert execute(["score", str(tmp_path), "--network", "svm-mnist"]) == 2
    assert "its class is neither in its name" in capsys.readouterr().err


def test_generation_0_is_drawn_again_from_the_seed(store: Path) -> None:
    """The network that chose these images gives them what the history says."""
    reader = StoreReader(store)
    meant = generation_0(reader, 100)
    classifier = load_classifier("lenet-mnist", device=torch.device("cpu"))
    probabilities = classifier.predict(meant.images).probabilities.numpy()
    found = probabilities[np.arange(20), meant.classes]
    stored = np.concatenate([reader.curves(number)[0] for number in (0, 1)])
    np.testing.assert_allclose(np.sort(found), np.sort(stored), rtol=1e-4, atol=1e-6)


CHECK = """
import sys, json, pathlib, torch, numpy as np
from PIL import Image
from islands.classifiers.registry import load_classifier

hits = dict.fromkeys(sys.argv[2:], 0)
for name in hits:
    network = load_classifier(name, device=torch.device("cpu"))
    for file in pathlib.Path(sys.argv[1]).rglob("*.png"):
        pixels = torch.tensor(np.asarray(Image.open(file)))[None, None]
        hits[name] += network.predict(pixels).logits.argmax().item() == int(file.name.split("_")[2])
print(json.dumps(hits))
"""


def test_the_matrix_is_what_a_ten_line_script_counts(store: Path, tmp_path: Path) -> None:
    """It reads exported PNGs, and shares no code with the scoring but the network."""
    assert execute(["export", str(store), str(tmp_path / "out")]) == 0
    command = [sys.executable, "-c", CHECK, str(tmp_path / "out"), "lenet-mnist", "linear-mnist"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    entries = [entry for entry in transfer([store], controls=0).entries if entry.denominator == "all"]
    assert {entry.target: entry.top1.k for entry in entries} == json.loads(done.stdout)
    assert {entry.top1.n for entry in entries} == {20}


def test_the_report_has_controls_provenance_and_detection(
    store: Path, tmp_path: Path, capsys: Capture
) -> None:
    figure = tmp_path / "x.svg"
    assert execute(["transfer", str(store), "--json", "--controls", "30", "--figure", str(figure)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert figure.exists()
    sources = dict.fromkeys(entry["source"] for entry in report["entries"])
    assert list(sources) == ["lenet-mnist", "uniform noise", "random CPPNs", "generation 0 of lenet-mnist"]
    assert all(entry["detection"]["real"] == 2000 for entry in report["entries"] if entry["n"])
    (source,) = report["sources"]
    assert (source["seed"], source["epoch"], source["runs"]) == (4, 2, 2)
    assert source["fingerprint"] == StoreReader(store).attributes["fingerprint"]
    assert execute(["transfer", str(store), "--csv", "--controls", "0"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["denominator"] for row in rows} == {"all", "confident"}


def test_scores_are_those_of_image_and_network(store: Path, tmp_path: Path) -> None:
    """Online, afterwards, of a folder, of a part of it in another order: the same bits."""
    own = StoreReader(store).scores()[0]
    svm, linear = NetworkConfig(name="svm-mnist"), NetworkConfig(name="linear-mnist")
    columns = score_store(store, [svm])
    assert execute(["export", str(store), str(tmp_path / "out"), "--layout", "flat"]) == 0
    whole = score_folder(tmp_path / "out", [svm, linear], scorers=3)
    (tmp_path / "few").mkdir()
    for number, name in enumerate(("run-1_class-0003", "run-0_class-0009", "run-0_class-0004")):
        folder = tmp_path / "few" / str(number)
        folder.mkdir()
        shutil.copy(tmp_path / "out" / f"{name}.png", folder / f"{name}.png")
    few = score_folder(tmp_path / "few", [svm, linear])
    bits = {
        ("svm-mnist", int(number), int(class_)): value
        for number, class_, value in zip(
            columns["run"], columns["class"], columns["target_probability"], strict=True
        )
    }
    bits |= {
        ("linear-mnist", number, class_): value
        for number, table in enumerate(own.runs)
        for class_, value in enumerate(table.target_probability)
    }
    for found in (whole, few):
        for file, network, value in zip(
            found["file"], found["network"], found["target_probability"], strict=True
        ):
            number, class_ = map(int, re.findall(r"run-(\d)_class-(\d+)", file)[0])
            assert np.float32(value) == bits[network, number, class_]


@pytest.fixture
def twins(tmp_path: Path) -> list[NetworkConfig]:
    """Two LeNets whose weights share a file name."""
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        file = tmp_path / str(seed) / "w.pt"
        file.parent.mkdir()
        torch.save(build_lenet().state_dict(), file)
        networks.append(NetworkConfig(name="lenet-mnist", weights=str(file)))
    return networks


def test_networks_whose_weights_share_a_name_stay_two(
    store: Path, tmp_path: Path, twins: list[NetworkConfig], capsys: Capture
) -> None:
    fingerprints = [
        load_classifier(**twin.model_dump(), device=torch.device("cpu")).fingerprint for twin in twins
    ]
    names = {f"lenet-mnist (w.pt) [{each[:8]}]" for each in fingerprints}
    for twin in twins:
        assert execute(["score", str(store), "--network", twin.model_dump_json(exclude_defaults=True)]) == 0
    assert {row[0] for row in query(store, "select distinct network from scores").rows} > names
    found = transfer([store], controls=0)
    assert {target["name"] for target in found.targets} > names
    assert len({(e.source, e.target) for e in found.entries}) == 4
    assert all(name in as_text(found) for name in names)
    page = collect(StoreReader(store), Linked)
    assert {each["network"] for each in page["held_out"]} > names
    assert execute(["export", str(store), str(tmp_path / "out")]) == 0
    columns = score_folder(tmp_path / "out", twins)
    assert set(columns["network"]) == names
    assert set(columns["fingerprint"]) == set(fingerprints)
    with pytest.raises(InputError, match="the same as"):
        score_folder(tmp_path / "out", [twins[0], twins[0]])


def test_stores_of_one_network_and_one_name_stay_two_rows(store: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(store, tmp_path / "other" / "run"))
    found = transfer([store, other, str(store)], controls=0)
    assert len({source["name"] for source in found.sources}) == 2
    assert len(found.entries) == 2 * 2 * 2


def test_a_resume_says_what_it_changes_that_bits_depend_on(store: Path, capsys: Capture) -> None:
    before = StoreReader(store).conditions
    assert [record["epoch"] for record in before] == [0]
    assert before[0]["threads"] == 1
    resume(str(store), ["evolve.generations=30"])
    assert "float sums" not in capsys.readouterr().err
    assert len(StoreReader(store).conditions) == 1
    resume(str(store), ["evolve.generations=40", "workers.threads=2"])
    said = capsys.readouterr().err
    assert "from epoch 4 on, threads is 2, where it was 1" in said
    records = StoreReader(store).conditions
    assert [(record["epoch"], record["threads"]) for record in records] == [(0, 1), (4, 2)]
    assert "where it was 1" in (store / "log.jsonl").read_text()
    assert query(store, "select distinct changes from runs").rows == [("epoch 4: threads 2",)]
    assert execute(["status", str(store)]) == 0
    assert "from epoch 4: threads 2" in capsys.readouterr().out
    assert collect(StoreReader(store), Linked)["provenance"]["conditions"] == list(records)


def test_a_store_of_before_has_the_conditions_of_its_configuration(store: Path, capsys: Capture) -> None:
    session = open_repository(store).writable_session("main")
    del zarr.open_group(session.store, mode="r+").attrs["conditions"]
    session.commit("as an earlier version wrote it")
    (record,) = StoreReader(store).conditions
    assert (record["epoch"], record["threads"]) == (0, 1)
    resume(str(store), ["evolve.generations=30", "workers.threads=2", "scorers.threads=2"])
    said = capsys.readouterr().err
    assert "threads is 2, where it was 1" in said
    assert [each["epoch"] for each in StoreReader(store).conditions] == [0, 3]


def test_scorers_that_change_are_told_where_evolution_is_done(store: Path, capsys: Capture) -> None:
    resume(str(store), ["held_out=[svm-mnist]", "scorers.threads=2", "workers.threads=2"])
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "scorers.threads is 2" in line]
    assert not [line for line in said if ", threads is" in line]
