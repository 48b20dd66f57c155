"""A loop of one's own: the engine's bits, checkpoints, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import islands
from islands.asking import keeping
from islands.classifiers.contract import Classifier
from islands.classifiers.registry import load_classifier
from islands.config import RunConfig
from islands.errors import ConfigError, InputError, StoreExistsError
from islands.store.reader import StoreReader
from tests.archipelago.conftest import digest, in_process
from tests.extensions import own
from tests.store.comparing import assert_same

CLASSES = ("dark", "bright", "even")


@pytest.fixture(scope="module")
def network() -> Classifier:
    """One that scores an image alike in any batch: islands ask for theirs together, and engines apart."""
    return load_classifier("linear-mnist", engine="torch", batch_size=1, device=torch.device("cpu"))


def small(**settings: Any) -> islands.Archipelago:
    return islands.Archipelago(CLASSES, **{"size": 8, "channels": 1, "initial": 12, "children": 9} | settings)


def look(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Score images (B, H, W, channels) by what they look like."""
    light, spread = images.mean((1, 2, 3)) / 255, images.std((1, 2, 3)) / 255
    scores: npt.NDArray[np.float64] = np.stack([(1 - light) ** 2, light**2, 0.5 - spread], 1)
    scores /= scores.sum(1, keepdims=True)
    return scores


def evolve(archipelago: islands.Archipelago, generations: int) -> islands.Archipelago:
    for _ in range(generations):
        archipelago.tell(look(archipelago.ask().images))
    return archipelago


@pytest.mark.parametrize(
    ("encoding", "count", "evolve", "archive"),
    [
        ({"name": "cppn"}, 1, {"preset": "paper"}, {}),
        ({"name": "cppn"}, 1, {}, {}),
        ({"name": "direct"}, 1, {"preset": "paper", "generations_per_epoch": 4}, {}),
        ({"name": "dct"}, 3, {"preset": "paper", "generations_per_epoch": 2}, {}),
        ({"name": "cppn"}, 3, {}, {}),
        ({"name": "cppn"}, 3, {}, {"measures": ["brightness"], "top": 2}),
    ],
)
def test_it_is_the_engine(
    encoding: dict[str, Any],
    count: int,
    evolve: dict[str, Any],
    archive: dict[str, Any],
    network: Classifier,
    tmp_path: Path,
) -> None:
    """Elites and all that islands know of each other are equal, bit for bit."""
    archipelago = islands.Archipelago(
        network.classes,
        size=network.input_size,
        channels=network.channels,
        encoding=encoding,
        islands=count,
        seed=5,
        initial=20,
        children=12,
        evolve=evolve,
        archive=archive,
    )
    for _ in range(9):
        archipelago.tell(network.predict(archipelago.ask().tensor))
    reader = archipelago.save(tmp_path / "told").reader
    settings = reader.config.model_dump(mode="json")
    settings["network"] = {"name": "linear-mnist", "engine": "torch", "batch_size": 1}
    evolution = in_process(RunConfig.model_validate(settings))
    told = reader.checkpoint()
    assert told is not None
    assert digest(told) == digest(evolution.last)
    assert_same(told.runs[0].mail, evolution.last.runs[0].mail)
    assert told.runs[0].evaluations == archipelago.evaluations == 20 + 8 * 12


def test_numbers_that_are_probabilities_are_enough(network: Classifier) -> None:
    """Where probabilities decide, whoever gives NumPy's loses nothing."""
    settings: dict[str, Any] = {"size": 28, "channels": 1, "initial": 20, "children": 20}
    settings["evolve"] = {"preset": "paper"}
    whole, plain = (islands.Archipelago(network.classes, **settings) for _ in range(2))
    for _ in range(5):
        prediction = network.predict(whole.ask().tensor)
        whole.tell(prediction)
        plain.ask()
        plain.tell(prediction.probabilities.numpy())
    assert np.array_equal(whole.confidence, plain.confidence)
    assert np.array_equal(whole.images, plain.images)


def test_equal_seeds_give_equal_images() -> None:
    first, second, other = (evolve(small(seed=seed, islands=2), 6) for seed in (3, 3, 4))
    assert np.array_equal(first.ask().images, second.ask().images)
    assert not np.array_equal(second.images, other.images)


def test_it_finds_what_is_asked_for() -> None:
    archipelago = evolve(small(encoding="direct", initial=200, children=200), 30)
    assert archipelago.confidence.dtype == np.float32
    found = look(archipelago.images)
    assert np.allclose(found.diagonal(), archipelago.confidence)
    assert (found.argmax(1) == np.arange(3)).all()


def test_confidences_that_float32_rounds_to_1_still_rise() -> None:
    """Log-odds, with which the default search compares, tell doubles apart."""
    archipelago = small()
    assert len(archipelago.ask()) == 12
    archipelago.tell(np.repeat([[1 - 1e-9, 5e-10, 5e-10]], 12, 0))
    before = archipelago.images[0]
    archipelago.ask()
    archipelago.tell(np.repeat([[1 - 1e-12, 0, 0]], 9, 0))
    assert not np.array_equal(archipelago.images[0], before)


def test_images_are_drawn_for_numpy_and_for_torch() -> None:
    asked = small(channels=3, encoding="direct").ask()
    assert (asked.generation, len(asked), len(asked.genomes)) == (0, 12, 12)
    assert asked.images.shape == (12, 8, 8, 3)
    assert asked.images.dtype == np.uint8
    assert np.array_equal(asked.tensor.permute(0, 2, 3, 1).numpy(), asked.images)
    asked.images[:] = 0
    assert asked.tensor.any()


@pytest.mark.parametrize("held", [2, 100])
@pytest.mark.parametrize("often", [False, True])
def test_a_store_has_everything_however_often_it_was_saved(
    held: int, often: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "HELD", held)
    archipelago = small(islands=2, evolve={"preset": "paper"})
    for generation in range(7):
        evolve(archipelago, 1)
        if often and generation % 3 == 0:
            archipelago.save(tmp_path / "run")
    run = archipelago.save(tmp_path / "run")
    assert (run.epoch, run.classes) == (6, CLASSES)
    assert np.array_equal(run.confidence[0], archipelago.confidence)
    curves = run.reader.curves(0)
    assert curves.shape == (7, 3)
    assert (np.diff(curves, axis=0) >= 0).all()
    assert np.array_equal(run.image("even"), archipelago.images[2])
    history = run.table("history")
    assert history.groupby("class").size().min() >= 1
    # The last row of each class is its elite.
    last = history.groupby("class")["id"].last()
    assert sorted(last) == sorted(run.elites["id"])
    page = islands.report(tmp_path / "run", tmp_path / "page.html")
    assert "own-loop:unnamed" in page.read_text()


def test_what_an_epoch_has_not_finished_is_saved_with_it(tmp_path: Path) -> None:
    archipelago = evolve(small(evolve={"generations_per_epoch": 3}), 1 + 5)
    assert archipelago.save(tmp_path / "run").epoch == 1
    assert evolve(archipelago, 1).save(tmp_path / "run").epoch == 2


def test_it_resumes_to_the_bits_of_one_that_never_stopped(tmp_path: Path) -> None:
    archipelago = evolve(small(islands=3), 6)
    archipelago.save(tmp_path / "run")
    resumed = evolve(islands.Archipelago.resume(tmp_path / "run"), 5)
    evolve(archipelago, 5)
    assert np.array_equal(resumed.images, archipelago.images)
    assert np.array_equal(resumed.ask().images, archipelago.ask().images)
    assert resumed.save(tmp_path / "run").epoch == 10


def test_nobody_else_may_write_between_checkpoints(tmp_path: Path) -> None:
    archipelago = evolve(small(), 2)
    archipelago.save(tmp_path / "run")
    evolve(islands.Archipelago.resume(tmp_path / "run"), 2).save(tmp_path / "run")
    with pytest.raises(InputError, match="is at epoch 3; expected 1: save nowhere else"):
        evolve(archipelago, 1).save(tmp_path / "run")
    assert evolve(islands.Archipelago.resume(tmp_path / "run"), 1).save(tmp_path / "run").epoch == 4


WRONG: list[tuple[Any, str]] = [
    (np.full((12, 2), 0.1), "got shape (12, 2); expected (12, 3), a row for each image"),
    (np.full((9, 3), 0.1), "got shape (9, 3); expected (12, 3)"),
    (np.full(36, 0.1), "got shape (36,)"),
    (np.ones((12, 3), np.int64), "got numbers of type int64; expected floats"),
    (torch.ones((12, 3), dtype=torch.bool), "got numbers of type bool"),
    ([[0.1], [0.1, 0.2]], "got rows of different lengths"),
    ("all of them", "got numbers of type <U11"),
    (np.full((12, 3), np.nan), "got numbers that are not finite for 12 of 12 images, first for image 0"),
    (np.full((12, 3), -0.25), "got -0.25 for image 0 and class 'dark'; expected probabilities from 0 to 1"),
    (
        np.full((12, 3), 0.5),
        "got numbers that sum to 1.5 for image 0; expected probabilities, which sum",
    ),
    (
        islands.Prediction(torch.full((12, 3), 0.1), torch.full((12, 3), torch.nan)),
        "got logits of shape (12, 3), or some that are not finite",
    ),
]


@pytest.mark.parametrize(("scores", "said"), WRONG, ids=[said for _, said in WRONG])
def test_scores_that_are_none_are_refused_and_change_nothing(scores: Any, said: str) -> None:
    archipelago, undisturbed = small(), evolve(small(), 3)
    archipelago.ask()
    with pytest.raises(InputError, match="^scores: " + re.escape(said)) as error:
        archipelago.tell(scores)
    assert "\n" not in str(error.value)
    asked = archipelago._asked
    assert asked is not None
    archipelago.tell(look(asked.images))
    assert np.array_equal(evolve(archipelago, 2).images, undisturbed.images)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: small().tell(np.ones((12, 3))), "tell: got scores of no images; expected `ask` first"),
        (
            lambda: asked_twice(),
            "ask: got a second call in generation 0; expected `tell` .* 12 images",
        ),
        (lambda: small().images, "images: got no scores yet"),
        (lambda: small().save("x"), "save: got no scores yet"),
        (lambda: islands.Archipelago("dark", size=8), "classes: got 'dark'; expected a list of names"),
        (lambda: islands.Archipelago([], size=8), r"classes: got \[\]; expected"),
        (lambda: small(islands=4), "got 4 islands for a network of 3 classes"),
        (lambda: small(channels=2), "images of 2 channels cannot be drawn"),
        (lambda: small(size=0), "islands.Archipelago: encoding.size: "),
        (lambda: small(children=0), "islands.Archipelago: evolve.children: "),
        (lambda: small(evolve={"emiters": []}), "evolve.emiters: unknown key; did you mean 'emitters'"),
        (
            lambda: small(evolve={"preset": "white-box"}, encoding="direct", children=40),
            "got a classifier without gradients",
        ),
        (lambda: small(encoding="cpn"), "encoding.name: "),
        (lambda: small(device="tpu"), "got tpu, but this machine offers"),
    ],
)
def test_what_cannot_be_done_is_told(
    call: Callable[[], object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said) as error:
        call()
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def asked_twice() -> None:
    archipelago = small()
    archipelago.ask()
    archipelago.ask()


def test_a_store_is_not_overwritten_and_not_left(tmp_path: Path) -> None:
    archipelago = evolve(small(), 1)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(StoreExistsError):
        archipelago.save(tmp_path / "taken")
    archipelago.save(tmp_path / "run")
    with pytest.raises(InputError, match="run, which has all that is older"):
        archipelago.save(tmp_path / "other")


def test_a_store_says_who_can_go_on_with_it(tmp_path: Path) -> None:
    evolve(small(), 2).save(tmp_path / "told")
    with pytest.raises(InputError, match=r"no network: a loop .* `islands.Archipelago.resume\(STORE\)`"):
        islands.resume(tmp_path / "told", ["evolve.generations=9"])
    budget = {"initial": 20, "children": 20}
    islands.evolve("linear-mnist", generations=10, evolve=budget, store=tmp_path / "scored", progress=False)
    with pytest.raises(InputError, match=r"by the network linear-mnist; .*`islands.resume` goes on"):
        islands.Archipelago.resume(tmp_path / "scored")
    assert StoreReader(tmp_path / "told").epoch == 1


def test_somebodys_own_encoding_goes_on_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own.write(tmp_path / "here"))

    def told(archipelago: islands.Archipelago) -> islands.Archipelago:
        bright = archipelago.ask().images.mean((1, 2, 3)) / 255
        archipelago.tell(np.stack([1 - bright, bright], 1))
        return archipelago

    encoding = {"name": "file:mine.py:Mosaic", "tiles": 3}
    whole = islands.Archipelago(["dark", "bright"], size=9, encoding=encoding, initial=8, children=8)
    told(told(told(whole)))
    half = islands.Archipelago(["dark", "bright"], size=9, encoding=encoding, initial=8, children=8)
    told(told(half)).save("half")
    assert np.array_equal(told(islands.Archipelago.resume("half")).images, whole.images)
    (tmp_path / "here" / "helper.py").write_text("RATE = 0.9\n")
    with pytest.raises(ConfigError, match="has fingerprint"):
        islands.Archipelago.resume("half")
