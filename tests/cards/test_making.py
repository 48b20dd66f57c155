"""Cards as they are made: what they say, that a kill changes no bit, and what is told of bad input."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from PIL import Image

import islands
from islands.cards.attack_results import is_unreliable
from islands.cards.card import Card, schema_text
from islands.cards.card_budget import Speed, choose
from islands.cards.evolving import LEAST, MOST, improvements
from islands.cards.images_to_fool import first_reached, images_to_half
from islands.cards.making import Evidence
from islands.cli.main import execute
from islands.errors import InputError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


def test_the_card_is_what_its_schema_says(folder: Path) -> None:
    schema = json.loads((folder / "card.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    card = json.loads((folder / "card.json").read_text())
    jsonschema.validate(card, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**card, "unknown": 1}, schema)
    assert schema_text() == (folder / "card.schema.json").read_text()


def test_its_scores_are_those_of_its_stores(made: Evidence) -> None:
    card = made.card
    assert [each.access for each in card.attacks] == ["black box", "black box", "gradients"]
    for result, reader in zip(card.attacks, made.readers, strict=True):
        assert [reader.evaluations(run) for run in range(2)] == [2000, 2000]
        for score in result.scores.values():
            halves = [
                images_to_half(first_reached(improvements(reader, run), 10, score.confidence))
                for run in range(2)
            ]
            middle = float(np.median(halves))
            assert score.n50 == (middle if np.isfinite(middle) else None)
        assert result.digests == (reader.digest(0), reader.digest(1))


def test_it_says_where_the_network_stands(made: Evidence) -> None:
    card = made.card
    assert card.real is not None
    assert card.real.accuracy == card.clean_acc == pytest.approx(0.995, abs=0.005)
    assert card.real.rho5 is not None
    assert 0.9 < card.real.rho5 < 1
    assert card.attacks[0].level == "rho5"
    assert not card.unreliable
    assert card.missing == {}


def test_gradients_that_do_worse_are_unreliable(made: Evidence) -> None:
    masked = made.card.attacks[2].model_copy(update={"geometric_mean": 1e9})
    assert is_unreliable([*made.card.attacks[:2], masked])
    assert not is_unreliable(made.card.attacks)
    assert not is_unreliable([made.card.attacks[0], masked])  # no black box with such images


def test_the_badge_is_an_svg(folder: Path) -> None:
    root = ElementTree.fromstring((folder / "badge.svg").read_text())
    assert root.tag.endswith("svg")
    assert "images to fool" in "".join(root.itertext())


def card_process(folder: Path) -> subprocess.Popen[bytes]:
    words = ["card", "linear-mnist", "--seeds", "2", "--images", "6000", "--out", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-m", "islands", *words],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_card_killed_twice_and_resumed_has_equal_digests(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert card_process(whole).wait(300) == 0
    for store in ("patterns", "pixels-unnoticed"):
        process = card_process(broken)
        while not (broken / store).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        assert process.poll() is None, "it was over before the kill"
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        assert not (broken / "card.json").exists()
    assert card_process(broken).wait(300) == 0
    expected, found = (Card.model_validate_json((each / "card.json").read_text()) for each in (whole, broken))
    assert [each.digests for each in found.attacks] == [each.digests for each in expected.attacks]
    assert found.attacks == expected.attacks
    assert found.noticed == expected.noticed
    assert found.in_the_loop == expected.in_the_loop


def test_what_is_done_is_not_done_again(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = {path: path.stat().st_mtime_ns for path in (copy / "patterns").rglob("*") if path.is_file()}
    words = ["card", "lenet-mnist", "--against", "svm-mnist", "--out", str(copy)]
    assert execute([*words, "--progress", "none"]) == 0
    said = capsys.readouterr()
    assert "going on with" in said.err
    assert "lenet-mnist: after" in said.out
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing-such"], "nothing-such"),
        (["lenet-mnist", "--minutes", "0"], "too few for any verdict"),
        (["lenet-mnist", "--images", "10"], "got 10; expected 2,000 or more"),
        (["lenet-mnist", "--pictures", "nowhere"], "nowhere is no folder"),
        (["lenet-mnist", "--pictures", "empty"], "no pictures in it"),
        (["lenet-mnist", "--pictures", "strangers"], "strangers"),
        (["lenet-mnist", "--against", "lenet-mnist"], "it is the network of the card"),
        (["lenet-mnist", "--against", "efficientnet-lite0"], "expected a network of the same classes"),
        (["lenet-mnist", "--out", "strangers"], "is not empty and holds no card"),
    ],
)
def test_bad_input_is_told_in_a_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "strangers" / "walrus").mkdir(parents=True)
    Image.new("L", (28, 28)).save(tmp_path / "strangers" / "walrus" / "one.png")
    assert execute(["card", *words]) == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error: ")]
    assert said in line
    assert not list(tmp_path.glob("cards/*/*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lenet-mnist", "--seeds", "3"], "--seeds: got 3, but"),
        (["lenet-mnist", "--images", "2200"], "--images: got 2200, but"),
        (["lenet-mnist", "--seed", "1"], "another seed"),
        (["linear-mnist"], "another network"),
    ],
)
def test_a_folder_has_one_card(words: list[str], said: str, folder: Path, capsys: Capture) -> None:
    before = (folder / "card.json").read_bytes()
    assert execute(["card", *words, "--out", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert (folder / "card.json").read_bytes() == before


def test_a_plan_that_is_damaged_is_told(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "plan.json").write_text("{")
    assert execute(["card", "linear-mnist", "--out", str(tmp_path)]) == 2
    assert "cannot be read as the plan of a card" in capsys.readouterr().err


def test_few_pictures_are_said_to_be_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for digit in range(10):
        (tmp_path / "few" / str(digit)).mkdir(parents=True)
        Image.new("L", (40, 30), 25 * digit).save(tmp_path / "few" / str(digit) / "one.png")
    monkeypatch.chdir(tmp_path)
    words = [
        "card",
        "linear-mnist",
        "--seeds",
        "1",
        "--images",
        "2000",
        "--pictures",
        "few",
        "--progress",
        "none",
    ]
    assert execute(words) == 0
    card = Card.model_validate_json((tmp_path / "cards/linear-mnist/card.json").read_text())
    assert card.real is not None
    assert card.real.n == 10
    assert "at least 10 are needed" in card.missing["rho5"]
    assert "at least 200 are needed" in card.missing["noticed"]
    assert card.attacks[0].level == "0.9"
    page = (tmp_path / "cards/linear-mnist/card.html").read_text()
    assert "at least 200 are needed" in page
    assert "no other network was named" in page
    assert str(tmp_path) not in card.made.command


NO_GRADIENTS = """
import torch
import islands

class Brightness:
    name, fingerprint, device = "brightness", "brightness 1", torch.device("cpu")
    classes, channels, input_size = ("dark", "bright"), 1, 8

    def predict(self, images):
        mean = images.float().mean((1, 2, 3)) / 255
        logits = 20 * torch.stack([0.5 - mean, mean - 0.5], 1)
        return islands.Prediction(logits.softmax(1), logits)

def build():
    return Brightness()
"""


def test_a_network_without_gradients_or_pictures_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brightness.py").write_text(NO_GRADIENTS)
    monkeypatch.chdir(tmp_path)
    words = ["card", "file:brightness.py:build", "--seeds", "1", "--images", "2000", "--out", "here"]
    assert execute([*words, "--progress", "none"]) == 0
    card = Card.model_validate_json((tmp_path / "here/card.json").read_text())
    assert [each.access for each in card.attacks] == ["black box", "black box"]
    assert set(card.missing) == {"gradients", "real", "noticed", "in_the_loop", "carry_over"}
    assert "no gradients pass" in (tmp_path / "here/card.html").read_text()


def test_a_budget_has_fewer_runs_before_it_has_too_few_images() -> None:
    def speed(seconds: float) -> Speed:
        return Speed([seconds, seconds], 2, 0, 0)

    assert choose(speed(1e-9), 5, None, None).images == MOST
    budgets = [choose(speed(each), 5, None, None) for each in (0.001, 0.015, 0.02, 0.025, 0.05)]
    assert [each.runs for each in budgets] == sorted((each.runs for each in budgets), reverse=True)
    assert budgets[0].runs == 5
    assert all(LEAST <= each.images <= MOST and each.seconds <= 300 for each in budgets)
    with pytest.raises(InputError, match="--minutes: got 5, too few"):
        choose(speed(0.2), 5, None, None)
    assert choose(speed(0.2), 5, 2, 2345).images == 2200


def test_a_network_of_ones_own_has_a_card_that_goes_on(tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(NO_GRADIENTS, space)
    network = space["build"]()
    settings: dict[str, Any] = {"seeds": 1, "images": 2000, "out": tmp_path / "card", "progress": False}
    found = islands.card(network, **settings)
    assert found.name == "brightness"
    assert found.made.command == "islands.card(network, seeds=1, images=2000)  # network: brightness"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "card/patterns").rglob("*")}
    assert islands.card(network, **settings) == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(InputError, match="mitigate: got 'prayer'; expected one of none-of-the-above"):
        islands.card(network, mitigate="prayer", **settings)  # type: ignore[arg-type]
    network.fingerprint = "brightness 2"
    with pytest.raises(InputError, match="another fingerprint"):
        islands.card(network, **settings)
