"""OpenVINO runs networks as torch does, or is not taken."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from islands.classifiers import openvino_engine
from islands.classifiers.apart import conditions, engines_of
from islands.classifiers.contract import Classifier, require_differentiable
from islands.classifiers.engines import TORCH, EngineName
from islands.classifiers.network_classifier import Preprocessing, View
from islands.classifiers.openvino_engine import CompiledNetwork, instruction_set
from islands.classifiers.registry import load_classifier
from islands.classifiers.torch_classifier import TorchClassifier
from islands.errors import NetworkError
from tests.classifiers.test_contract import SCREENED, TIERED, load, load_anew, noise
from tests.optional import needs_openvino
from tests.test_rooms import ROOT

pytestmark = needs_openvino

CPU = torch.device("cpu")


class Unusual(nn.Module):
    """Made of what OpenVINO has not."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(64, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.last(torch.special.bessel_j0(pixels.flatten(1)))
        return logits


class Moody(Unusual):
    """Depends on its pictures by way of a number of Python's, which stays as it was when it was traced."""

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.last(pixels.flatten(1)) / (1 + float(pixels.max()))
        return logits


class Counting(Unusual):
    """Has its logits in an object, as many libraries do."""

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"logits": self.last(pixels.flatten(1))}


def build(module: nn.Module, engine: EngineName = "auto") -> TorchClassifier:
    torch.manual_seed(0)
    nn.init.normal_(module.last.weight)  # type: ignore[union-attr, arg-type]
    return TorchClassifier(
        "mine", module, ("a", "b", "c"), Preprocessing(1, 8), batch_size=4, engine=engine, device=CPU
    )


def exactly(classifier: Classifier, images: Tensor) -> Tensor:
    return classifier.predict(images).logits


@pytest.mark.parametrize(("name", "view", "size"), TIERED)
def test_every_kind_of_network_runs_on_it(name: str, view: View, size: int) -> None:
    engines = [engine.name for engine in engines_of(load(name, view))]
    if name.startswith(SCREENED):  # the replica, where the CPU has no bfloat16
        engines = engines[: len(engines) // 2]
    if name == "generative-mnist":  # which OpenVINO gets wrong
        assert engines == [TORCH]
    else:
        assert all(engine.startswith("OpenVINO") for engine in engines)


@pytest.mark.parametrize("name", ["lenet-mnist", "svm-mnist", "efficientnet-lite0"])
def test_neither_neighbours_nor_places_change_a_bit(name: str) -> None:
    classifier = load(name, "whole", "openvino")
    images = noise(classifier, 8, classifier.input_size)
    scores, order = exactly(classifier, images), torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    assert torch.equal(exactly(classifier, images[order]), scores[order])
    among_others = images.clone()
    among_others[1:] = 255
    assert torch.equal(exactly(classifier, among_others)[0], scores[0])


def test_scores_are_those_of_torch_and_so_is_the_fingerprint() -> None:
    ours, theirs = load("lenet-mnist", "whole", "openvino"), load("lenet-mnist", "whole", "torch")
    images = noise(ours, 9, 28)
    torch.testing.assert_close(exactly(ours, images), exactly(theirs, images), rtol=1e-4, atol=1e-4)
    assert ours.fingerprint == theirs.fingerprint


def test_images_that_are_resized_are_scored_as_torch_does() -> None:
    ours, theirs = load("lenet-mnist", "whole", "openvino"), load("lenet-mnist", "whole", "torch")
    images = noise(ours, 3, 41)
    torch.testing.assert_close(exactly(ours, images), exactly(theirs, images), rtol=1e-4, atol=1e-4)


def test_gradients_are_those_of_the_module() -> None:
    def gradient(engine: EngineName) -> Tensor:
        network = require_differentiable(load("lenet-mnist", "whole", engine))
        pixels = (noise(network, 2, 28).float() / 255).requires_grad_()
        (found,) = torch.autograd.grad(network.logits(pixels)[:, 3].sum(), pixels)
        return found

    assert torch.equal(gradient("openvino"), gradient("torch"))


def test_what_was_compiled_before_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    scores = []
    for damage in (False, False, True):
        kept = list(tmp_path.rglob("*.blob"))
        if damage:
            kept[0].write_bytes(kept[0].read_bytes()[:1000])
        classifier = load_anew("lenet-mnist", "whole", "openvino")
        scores.append(exactly(classifier, noise(classifier, 7, 28)))
    assert len(list(tmp_path.rglob("*.blob"))) == len(kept) == 1
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", "/proc/none")
    classifier = load_anew("linear-mnist", "whole", "openvino")
    assert classifier.predict(noise(classifier, 2, 28)).finite.all()


def test_threads_of_a_process_do_not_disturb_each_other() -> None:
    classifier = load("lenet-mnist", "whole", "openvino")
    images = noise(classifier, 40, 28)
    with ThreadPoolExecutor(4, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        first, *others = pool.map(lambda _: exactly(classifier, images), range(12))
    assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize(
    ("module", "why"),
    [(Unusual(), "the module does not translate"), (Moody(), r"its log-odds are off by .* is allowed")],
)
def test_what_it_cannot_run_or_runs_wrongly_is_left_to_torch(module: nn.Module, why: str) -> None:
    found = build(module).engine
    assert found.name == TORCH
    assert re.match(why, found.why)
    assert "\n" not in found.why
    with pytest.raises(NetworkError, match=rf"network\.engine: got openvino for mine, but {why}") as refusal:
        build(module, "openvino")
    assert "\n" not in str(refusal.value)


def test_logits_within_an_object_are_found() -> None:
    assert build(Counting()).engine.name.startswith("OpenVINO")


def test_low_precision_is_computed_or_told() -> None:
    found = load_classifier("lenet-mnist", precision="bfloat16", device=CPU)
    (engine,) = engines_of(found)
    if "bf16" in instruction_set():
        assert engine.name.startswith("OpenVINO")
    else:
        assert engine.why.startswith("OpenVINO computes no bfloat16 on this CPU")


def test_what_bits_depend_on_is_known() -> None:
    found = conditions(load("lenet-mnist", "whole", "openvino"))
    assert found["engine"].startswith("OpenVINO ")
    assert "within" in found["engine_reason"]
    assert found["instructions"] == instruction_set()
    assert found["batch_size"] == 64
    old = conditions(load("lenet-mnist", "whole", "torch"))
    assert (old["engine"], old["batch_size"], "instructions" in old) == (TORCH, 256, False)


def test_what_was_compiled_is_read_where_nothing_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    load_anew("lenet-mnist", "whole", "openvino")
    # For root, under whom tests may run, all files can be written.
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(CompiledNetwork, "_prepared", refuse)  # the first step of compiling
    load_anew("lenet-mnist", "whole", "openvino")


def test_what_was_compiled_and_is_used_no_more_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISLANDS_CACHE", str(tmp_path))
    first = load_anew("lenet-mnist", "whole", "openvino")
    (kept,) = tmp_path.rglob("*.blob")
    of_before = kept.parents[1] / "2025.1-avx2" / "old.blob"
    of_before.parent.mkdir()
    of_before.write_bytes(bytes(1000))
    os.utime(of_before, (0, 0))
    monkeypatch.setattr(openvino_engine, "KEPT_BYTES", kept.stat().st_size + 500)
    load_anew("lenet-mnist", "whole", "openvino")  # read, so nothing is written
    assert of_before.exists()
    scores = exactly(first, noise(first, 2, 41))  # resized images are another input
    assert [path.exists() for path in (of_before, kept)] == [False, False]
    assert torch.equal(exactly(first, noise(first, 2, 41)), scores)


def test_a_module_that_does_not_translate_leaves_warnings_heard() -> None:
    root = logging.getLogger()
    before = root.level, [*root.filters], [*root.handlers]
    assert build(Unusual()).engine.name == TORCH
    assert (root.level, root.filters, root.handlers) == before


def test_networks_run_without_it() -> None:
    code = """
import sys, torch
sys.modules["openvino"] = None
from islands.classifiers.registry import load_classifier
network = load_classifier("lenet-mnist", device=torch.device("cpu"))
print(network.engine.name, network.engine.why)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.startswith("torch OpenVINO is not to be had")
