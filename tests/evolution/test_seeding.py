"""Generation 0 that gradients tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from islands.classifiers.contract import require_differentiable
from islands.classifiers.registry import load_classifier
from islands.cli.main import execute
from islands.config import WorkConfig
from islands.encodings.canvas import Canvas
from islands.encodings.contract import Operator
from islands.encodings.cppn import CppnEncoding
from islands.encodings.genomes import Genomes
from islands.encodings.rendering_torch import render_unrounded
from islands.encodings.settings import Colour, CppnSettings
from islands.errors import ConfigError, NetworkError
from islands.evolution.seeding import climb, first_genomes
from islands.experiments.configure import resolve_run_config
from islands.runs.controls import generation_0
from islands.runs.launch import launch
from islands.runs.plan import plan
from islands.testing import evolved
from tests.archipelago.conftest import digest, in_process, small_config, stored_config
from tests.conftest import examples

CPU = torch.device("cpu")
Capture = pytest.CaptureFixture[str]


def smooth(steps: int, rate: float = 0.05, channels: int = 1, size: int = 28) -> CppnEncoding:
    settings = CppnSettings(coordinates="normalized", seed_steps=steps, seed_rate=rate)
    return CppnEncoding(settings, channels, size)


def log_p(encoding: CppnEncoding, genomes: Genomes, targets: Tensor) -> Tensor:
    network = load_classifier("lenet-mnist", device=CPU)
    scores = network.predict(encoding.render(genomes)).logits.log_softmax(1)
    return scores.gather(1, targets[:, None])[:, 0]


@settings(max_examples=examples(20))
@given(
    seed=st.integers(0, 2**32),
    channels=st.sampled_from([1, 3]),
    colour=st.sampled_from(["hsv", "hls"]),
    generations=st.integers(0, 15),
)
def test_what_gradients_flow_through_is_what_is_scored(
    seed: int, channels: int, colour: Colour, generations: int
) -> None:
    encoding = CppnEncoding(CppnSettings(colour=colour), channels, 9)
    genomes = evolved(encoding, 4, generations, seed)
    weights = genomes["weights"].clone().requires_grad_()
    levels = encoding.levels(genomes, weights)
    assert torch.equal(levels.detach(), encoding.render(genomes).float())


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_those_of_finite_differences_without_rounding(channels: int) -> None:
    encoding = smooth(1, channels=channels, size=40)
    genomes = evolved(encoding, 20, 6, 2)
    canvas = Canvas.of(encoding.settings, 40, 40)
    ripples = torch.arange(channels * 40 * 40).view(channels, 40, 40).sin()

    def total(weights: Tensor) -> Tensor:
        drawn = Genomes(genomes.fields | {"weights": weights})
        return (render_unrounded(drawn, channels, 10.0, canvas, "hsv") * ripples).sum((1, 2, 3))

    weights = genomes["weights"].clone().requires_grad_()
    levels = encoding.levels(genomes, weights)
    (gradient,) = torch.autograd.grad((levels * ripples).sum(), weights)
    step = 2e-4 * (torch.rand(weights.shape, generator=torch.Generator().manual_seed(1)) - 0.5)
    difference = total(weights.detach() + step) - total(weights.detach() - step)
    slope = (gradient * 2 * step).sum(1)
    assert torch.corrcoef(torch.stack([difference, slope]))[0, 1] > 0.99
    assert (difference - slope).abs().median() < 0.05 * slope.abs().median()


def test_a_climb_ends_no_lower_than_it_starts_and_mostly_higher() -> None:
    encoding, network = smooth(9), require_differentiable(load_classifier("lenet-mnist", device=CPU))
    genomes = encoding.random(50, torch.Generator().manual_seed(3))
    targets = torch.arange(50) % 10
    before = log_p(encoding, genomes, targets)
    climbed = climb(encoding, network, genomes, targets)
    after = log_p(encoding, climbed, targets)
    assert (after >= before - 1e-4).all()
    assert (after > before + 1).float().mean() > 0.7
    assert after.mean() > before.mean() + 3
    assert ((climbed["weights"] >= 0) & (climbed["weights"] <= 1)).all()
    for name in ("functions", "sources", "targets"):
        assert torch.equal(climbed[name], genomes[name])


def test_one_point_is_the_start() -> None:
    network = require_differentiable(load_classifier("lenet-mnist", device=CPU))
    genomes = smooth(1).random(5, torch.Generator().manual_seed(3))
    climbed = climb(smooth(1), network, genomes, torch.arange(5))
    assert torch.equal(climbed["weights"], genomes["weights"])


def test_each_class_of_the_island_is_climbed_for() -> None:
    encoding, network = smooth(30, rate=0.1), load_classifier("lenet-mnist", device=CPU)
    stream = torch.Generator().manual_seed(2)
    genomes, operators = first_genomes(encoding, network, range(5, 10), 30, stream)
    assert (operators == Operator.GRADIENT).all()
    drawn = encoding.random(30, torch.Generator().manual_seed(2))
    targets = 5 + torch.arange(30) // 6
    gained = log_p(encoding, genomes, targets) - log_p(encoding, drawn, targets)
    assert gained.view(5, 6).mean(1).min() > 3


SEEDED = {
    "encoding": {"name": "cppn", "coordinates": "normalized", "seed_steps": 3},
    "evolve": {"initial": 60},
}


def seeded(**sections: object) -> WorkConfig:
    return small_config(**SEEDED | sections)


@pytest.mark.slow
def test_any_number_of_workers_gives_the_same_bits() -> None:
    first = in_process(seeded(), 1).last
    assert digest(first) == digest(in_process(seeded(), 5).last)
    plain = in_process(seeded(encoding={"name": "cppn", "coordinates": "normalized"})).last
    for tuned, random in zip(first.runs, plain.runs, strict=True):
        assert tuned.evaluations == random.evaluations


@pytest.mark.slow
def test_a_seeded_run_is_told_from_others(tmp_path: Path) -> None:
    config = stored_config(tmp_path / "run", **SEEDED, workers={"executor": "in-process"})
    reader = launch(config)
    history = reader.history(0)
    first = history["generation"] == np.int32(0)
    assert {*history["operator"][first]} == {Operator.GRADIENT}
    assert {*history["operator"][~first]} == {Operator.MUTATION}
    assert reader.evaluations(0) == 60 + 10 * 12
    assert execute(["lineage", str(tmp_path / "run"), "--class", "3"]) == 0


def test_seeds_are_planned() -> None:
    found = plan([seeded(evolve={"initial": 60, "children": 4})], ["evolve"])
    assert found.evaluations == 2 * (60 + 4 * 12)


@pytest.mark.slow
def test_the_control_of_generation_0_has_not_seen_gradients(tmp_path: Path) -> None:
    names = ("tuned", "random")
    encodings = [{"name": "cppn", "coordinates": "normalized", "seed_steps": steps} for steps in (3, 0)]
    images = []
    for name, encoding, initial in zip(names, encodings, (60, 6), strict=True):
        config = stored_config(
            tmp_path / name,
            encoding=encoding,
            evolve={"initial": initial, "generations": 2},
            workers={"executor": "in-process"},
        )
        images.append({image.tobytes() for image in generation_0(launch(config), 100).images.numpy()})
    # Which of the six an island held differs, as do the numbers of children; what they are does not.
    assert images[0] & images[1]


def test_a_network_without_gradients_is_refused(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        f"pipeline: mnist_cppn\nstore: {tmp_path}/run\nworkers: {{executor: in-process}}\n"
        "network: {name: 'label-only:lenet-mnist'}\nencoding: {seed_steps: 9}\nevolve: {initial: 28}\n"
    )
    assert execute(["launch", str(file)]) == 2
    assert "without gradients" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_images_that_do_not_pay_for_whole_genomes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"evolve\.initial is 200, .* costs 28 images; .* such as 196"):
        resolve_run_config({"pipeline": "mnist_cppn", "store": "x", "encoding": {"seed_steps": 9}})


def test_a_network_that_cuts_the_tape_is_explained(tmp_path: Path) -> None:
    (tmp_path / "cut.py").write_text(
        "import torch\n"
        "class Cut(torch.nn.Module):\n"
        "    classes, input_size, channels, mean, std = ['a', 'b'], 8, 1, 0.5, 0.5\n"
        "    def forward(self, x):\n"
        "        return x.detach().flatten(1)[:, :2]\n"
        "def build():\n"
        "    return Cut()\n"
    )
    network = require_differentiable(load_classifier(f"file:{tmp_path}/cut.py:build", device=CPU))
    genomes = smooth(2, size=8).random(2, torch.Generator())
    with pytest.raises(NetworkError, match="logits without a gradient"):
        climb(smooth(2, size=8), network, genomes, torch.zeros(2, dtype=torch.int64))


def test_levels_of_many_genomes_are_those_of_each() -> None:
    encoding = smooth(2)
    genomes = evolved(encoding, 5, 4, 1)
    alone = [
        encoding.levels(each, each["weights"])
        for each in (genomes.take(torch.tensor([row])) for row in range(5))
    ]
    np.testing.assert_array_equal(encoding.levels(genomes, genomes["weights"]), torch.cat(alone))
