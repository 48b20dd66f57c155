"""Scoring after the fact, and the report on it, on real stores."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import islands
from islands.classifiers.registry import load_classifier
from islands.cli.main import run
from islands.config import NetworkConfig, ScorersConfig
from islands.errors import InputError
from islands.stages.controls import generation_0
from islands.stages.launch import resume
from islands.stages.score import score_folder, score_store
from islands.stages.transfer import transfer
from islands.store.images import render_elite
from islands.store.query import query
from islands.store.reader import StoreReader
from islands.store.writer import StoreWriter

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
    return Path(shutil.copytree(template, tmp_path / "run"))


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
    assert run(["score", str(store), "--network", "svm-mnist", "--full"]) == 0
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
    assert run(asked) == 0
    rows = json.loads(file.read_text())
    assert len(rows) == 20
    assert {row["epoch"] for row in rows} == {0}
    assert all(len(row["probabilities"]) == 10 for row in rows)
    assert StoreReader(store).session.snapshot_id == before


def test_a_store_that_is_being_written_says_so(store: Path, tmp_path: Path, capsys: Capture) -> None:
    with StoreWriter.open(store):
        assert run(["score", str(store), "--network", "svm-mnist"]) == 2
        error = capsys.readouterr().err
        assert "is being written by" in error
        assert "--out" in error
        out = tmp_path / "x.csv"
        assert run(["score", str(store), "--network", "svm-mnist", "--out", str(out)]) == 0
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
    assert run(["score", str(store), *arguments]) == 2
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
        assert run(["export", str(store), str(out), "--layout", layout]) == 0
    columns = score_folder(out, [LINEAR, NetworkConfig(name="svm-mnist")], full=True)
    assert len(columns["file"]) == 40
    probabilities = expected(store, "svm-mnist").reshape(20, 10)
    rows = columns["network"] == "svm-mnist"
    found = columns["probabilities"][rows]
    order = np.lexsort((columns["file"][rows].astype(str), columns["class"][rows]))
    by_class = probabilities.reshape(2, 10, 10).transpose(1, 0, 2).reshape(20, 10)
    np.testing.assert_allclose(found[order], by_class, rtol=1e-4, atol=1e-6)


def test_a_folder_without_classes_or_images_is_refused(tmp_path: Path, capsys: Capture) -> None:
    assert run(["score", str(tmp_path), "--network", "svm-mnist"]) == 2
    assert "has no *.png" in capsys.readouterr().err
    Image.new("L", (28, 28)).save(tmp_path / "what.png")
    assert run(["score", str(tmp_path), "--network", "svm-mnist"]) == 2
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
    assert run(["export", str(store), str(tmp_path / "out")]) == 0
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
    assert run(["transfer", str(store), "--json", "--controls", "30", "--figure", str(figure)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert figure.exists()
    sources = dict.fromkeys(entry["source"] for entry in report["entries"])
    assert list(sources) == ["lenet-mnist", "uniform noise", "random CPPNs", "generation 0 of lenet-mnist"]
    assert all(entry["detection"]["real"] == 2000 for entry in report["entries"] if entry["n"])
    (source,) = report["sources"]
    assert (source["seed"], source["epoch"], source["runs"]) == (4, 2, 2)
    assert source["fingerprint"] == StoreReader(store).attributes["fingerprint"]
    assert run(["transfer", str(store), "--csv", "--controls", "0"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["denominator"] for row in rows} == {"all", "confident"}
