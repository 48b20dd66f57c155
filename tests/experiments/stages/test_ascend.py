"""Gradient ascent does what the released code does, for many images at once."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from islands.archipelago.progress import observe_nothing
from islands.classifiers.contract import Differentiable, require_differentiable
from islands.classifiers.registry import load_classifier
from islands.errors import ConfigError, NetworkError
from islands.experiments.context import Context
from islands.experiments.findings.verdicts import Verdict
from islands.experiments.items import Items
from islands.experiments.parameters import ASCENTS, AscentParameters, AscentSettings
from islands.experiments.runner import findings_of
from islands.experiments.stages.ascend import (
    SNAPSHOTS,
    STAGE,
    THRESHOLDS,
    _step,
    ascend,
    confidence_of,
    mean_of,
    starts,
)
from islands.experiments.stages.ascend import run as ascend_run
from tests.experiments.experiments import items, run, run_cut_off, tiny

Array = npt.NDArray[np.float64]
CPU = torch.device("cpu")
EVERYTHING = AscentSettings(
    iterations=12, decay=0.02, blur=0.4, blur_every=2, small_norm=10, small_absolute_benefit=5
)
ALL_CLIPS = {"small_value": 10, "small_norm": 20, "small_benefit": 15, "small_absolute_benefit": 25}


def network(name: str = "linear-mnist") -> Differentiable:
    return require_differentiable(load_classifier(name, device=CPU))


def clipped(x: Array, gradient: Array, settings: AscentSettings) -> Array:
    """Return an image (channels, H, W) after the four clips, in the order of the released code."""
    if settings.small_value:
        x = np.where(abs(x) < np.percentile(abs(x), settings.small_value), 0, x)
    if settings.small_norm:
        norm = np.linalg.norm(x, axis=0)
        x = np.where(norm < np.percentile(norm, settings.small_norm), 0, x)
    if settings.small_benefit:
        benefit = (gradient * -x).sum(0)
        x = np.where(benefit < np.percentile(benefit, settings.small_benefit), 0, x)
    if settings.small_absolute_benefit:
        benefit = abs((gradient * -x).sum(0))
        x = np.where(benefit < np.percentile(benefit, settings.small_absolute_benefit), 0, x)
    return x


def naive(start: Array, target: int, settings: AscentSettings) -> tuple[list[Array], list[float]]:
    """Climb with one image on a linear model, whose gradient is known, in float64; mean 0."""
    state = network()._module.state_dict()  # type: ignore[attr-defined]
    weight, bias = state["1.weight"].double().numpy(), state["1.bias"].double().numpy()
    x, images, probabilities = start.copy(), [], []
    for iteration in range(settings.iterations + 1):
        x = np.clip(x, 0, 255)
        scores = np.exp(weight @ (x.ravel() / 255) + bias)
        p = scores / scores.sum()
        gradient = (p[target] * (weight[target] - p @ weight) / 255).reshape(x.shape)
        images.append(x)
        probabilities.append(p[target])
        desired = min(settings.early_progress, settings.late_progress * (1 - p[target]))
        x = x + min(settings.largest_rate, desired / (gradient**2).sum()) * gradient
        x = x * (1 - settings.decay)
        if settings.blur and iteration % settings.blur_every == 0:
            x = ndimage.gaussian_filter(x, settings.blur)
        x = clipped(x[None], gradient[None], settings)[0]
    return images, probabilities


@pytest.mark.parametrize(
    "settings",
    [
        AscentSettings(iterations=15, decay=0),
        AscentSettings(iterations=15, early_progress=0.3, late_progress=0.5, decay=0.001),
        AscentSettings(iterations=8, small_benefit=20),
        EVERYTHING,
    ],
)
def test_each_image_climbs_as_a_naive_loop_has_it(settings: AscentSettings) -> None:
    mean = mean_of(network())
    start = starts("uniform", (1, 28, 28), mean, 5, [(0, 0), (0, 1)])
    # The likeliest class, and the next: steps towards a class of no probability are as good as endless.
    likeliest = network().logits(start / 255).topk(2, 1).indices
    targets = torch.stack([likeliest[0, 0], likeliest[1, 1]])
    found = ascend(network(), targets, start, mean, settings)
    for row, target in enumerate(targets.tolist()):
        images, p = naive(start[row, 0].double().numpy(), target, settings)
        last = found["last"].images[row, 0].numpy().astype(float)
        assert found["last"].iterations[row] == settings.iterations
        assert np.abs(last - images[-1]).max() < 0.51
        assert found["best"].iterations[row] == int(np.argmax(p))
        for name, threshold in THRESHOLDS.items():
            first = next((place for place, each in enumerate(p) if each > threshold), -1)
            assert found[name].iterations[row] == first


@pytest.mark.parametrize(
    "settings",
    [
        AscentSettings.model_validate({"decay": 0.02, **{name: ALL_CLIPS[name] for name in names}, **blur})
        for names in (
            list(ALL_CLIPS),
            ["small_norm", "small_absolute_benefit"],
            ["small_norm", "small_benefit"],
        )
        for blur in ({}, {"blur": 0.6, "blur_every": 3})
    ],
)
@pytest.mark.parametrize("iteration", [2, 3])
def test_a_step_is_that_of_the_released_code(settings: AscentSettings, iteration: int) -> None:
    random = np.random.default_rng(0)
    x, gradient = random.normal(0, 40, (2, 3, 8, 9)), random.normal(0, 1, (2, 3, 8, 9))
    p = np.array([0.3, 0.9])
    found = _step(torch.from_numpy(x), torch.from_numpy(p), torch.from_numpy(gradient), iteration, settings)
    for row in range(2):
        # The gradient of p, of which the stage has that of log p.
        grad = p[row] * gradient[row]
        desired = min(settings.early_progress, settings.late_progress * (1 - p[row]))
        expected = x[row] + min(settings.largest_rate, desired / np.linalg.norm(grad) ** 2) * grad
        expected *= 1 - settings.decay
        if settings.blur and iteration % settings.blur_every == 0:
            expected = np.stack([ndimage.gaussian_filter(each, settings.blur) for each in expected])
        np.testing.assert_allclose(found[row], clipped(expected, grad, settings), rtol=1e-5, atol=1e-5)


def test_a_blur_may_reach_beyond_the_image() -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 40, (1, 1, 8, 9)))
    found = _step(x, torch.ones(1), 0 * x, 0, AscentSettings(decay=0, blur=4))
    np.testing.assert_allclose(found[0, 0], ndimage.gaussian_filter(x[0, 0], 4), rtol=1e-4, atol=1e-4)


def test_thresholds_come_in_order_and_the_stored_8_bit_images_have_them() -> None:
    lenet = network("lenet-mnist")
    mean, targets = mean_of(lenet), torch.arange(10)
    start = starts("mean_plus", (1, 28, 28), mean, 0, [(class_, 0) for class_ in range(10)])
    found = ascend(lenet, targets, start, mean, AscentSettings(iterations=90, late_progress=0.5, decay=0))
    times = torch.stack([found[name].iterations for name in ("label", *THRESHOLDS)])
    assert (times >= 0).all()
    assert (times.diff(dim=0) >= 0).all()
    assert (confidence_of(lenet, found["best"].images, targets) > 0.9999).all()
    assert (lenet.predict(found["label"].images).logits.argmax(1) == targets).float().mean() >= 0.8


def test_starts_depend_on_class_and_number_alone() -> None:
    mean = torch.full((1, 3, 1, 1), 100.0)
    whole = starts("mean_plus", (3, 8, 8), mean, 1, [(0, 0), (5, 2)])
    assert torch.equal(whole[1:], starts("mean_plus", (3, 8, 8), mean, 1, [(5, 2)]))
    assert not torch.equal(whole[0], whole[1])
    assert abs(float((whole - mean).std()) - 1) < 0.15
    assert torch.equal(starts("mean", (3, 8, 8), mean, 1, [(0, 0)]), mean.expand(1, 3, 8, 8))
    uniform = starts("uniform", (3, 8, 8), mean, 1, [(0, 0)])
    assert uniform.min() >= 0
    assert 200 < uniform.max() <= 255


def test_a_network_without_gradients_and_a_mean_that_does_not_fit_are_refused() -> None:
    with pytest.raises(NetworkError, match="without gradients"):
        require_differentiable(load_classifier("label-only:lenet-mnist", device=CPU))
    with pytest.raises(ConfigError, match="got 3 numbers; expected 1"):
        mean_of(network(), [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"settings": {"a": {"blur": 0.1}}}, r"parameters\.settings\.a\.blur: got 0\.1; expected 0, or 0\.3"),
        ({"imagenet_classes": 21}, r"parameters\.imagenet_classes: got 21; the paper has 20"),
    ],
)
def test_what_would_silently_do_less_is_refused_by_name(
    parameters: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        ascend_run(
            Context(tiny("gradient_ascent", tmp_path), AscentParameters(**parameters), observe_nothing)
        )


def test_the_released_codes_four_settings() -> None:
    assert {name: (way.iterations, way.decay, way.blur) for name, way in ASCENTS.items()} == {
        "none": (500, 0, 0),
        "decay": (1500, 0.01, 0),
        "decay and blur": (1000, 0.001, 0.4),
        "decay, blur and clipping": (1500, 0.001, 0.3),
    }


@pytest.mark.slow
def test_a_stage_that_is_cut_off_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    settings = {
        "network": {"name": "lenet-mnist"},
        "held_out": ["linear-mnist"],
        "parameters": {
            "classes": [1, 4, 9],
            "starts": 1,
            "batch": 2,
            "settings": {
                "plain": {"decay": 0, "iterations": 3},
                "clipped": {"small_norm": 10, "iterations": 4},
            },
        },
    }
    whole, parts = (tiny("gradient_ascent", tmp_path / name, **settings) for name in ("whole", "parts"))
    run(whole)
    run_cut_off(parts, "climbing on lenet-mnist, clipped: 1 at once")
    expected = items(whole, STAGE)
    assert len(expected) == 2 * 2 * 3
    assert items(parts, STAGE) == expected
    # A batch of which an image is lost is climbed again as a whole.
    lost = "linear-mnist plain 4 0"
    (Path(parts.store) / "results" / STAGE / "linear-mnist-plain-4-0.json").unlink()
    run(parts)
    assert items(parts, STAGE) == expected
    stored = [Items(config.store, STAGE).arrays(lost) for config in (whole, parts)]
    assert stored[0].keys() <= set(SNAPSHOTS)
    for name, image in stored[0].items():
        assert np.array_equal(image, stored[1][name])
        one = torch.from_numpy(image)[None]
        again = confidence_of(network(), one, torch.tensor([4]))
        assert float(again[0]) == pytest.approx(expected[lost]["confidence"][name], abs=1e-5)
    _check_findings(Path(whole.store), expected)


def _check_findings(folder: Path, climbed: dict[str, Any]) -> None:
    """Each network has a finding for what climbed freely, and one for what was regularised."""
    [found] = findings_of([folder]).values()
    cases = [(name, way) for name in ("lenet-mnist", "linear-mnist") for way in ("plain", "clipped")]
    assert len(found) == len(cases)
    for finding, (name, way) in zip(found, cases, strict=True):
        best = [
            item["confidence"]["best"]
            for item in climbed.values()
            if (item["network"], item["way"]) == (name, way)
        ]
        assert finding.value == pytest.approx(median(best))
        assert ("regularisers" in finding.claim) == (way == "clipped")
        # Three classes are too few to agree, and to say that they never would.
        assert finding.verdict is Verdict.TOO_FEW
