"""What users bring that does not fit is told in one line: what was got, what was expected, what to do."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import islands
from islands.classifiers.catalogue import class_count, parse_network
from islands.classifiers.checks import require_sound
from islands.classifiers.contract import Classifier, Prediction
from islands.classifiers.lenet import build_lenet
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.registry import load_classifier
from islands.classifiers.state_dicts import fill
from islands.classifiers.torch_classifier import TorchClassifier
from islands.errors import NetworkError

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (3, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


class Layer(nn.Module):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x.flatten(1)[:, 300:310])


class Counting(nn.Module):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x.flatten(1)[:, 300:310] * self.calls


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def own(module: nn.Module) -> TorchClassifier:
    classes = tuple("0123456789")
    return TorchClassifier("own", module, classes, Preprocessing(1, 28), batch_size=8, device=CPU)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Layer(lambda x: x[:, :7]), r"shape \(3, 7\); expected \(3, 10\)"),
        (Layer(lambda x: x.softmax(1)), "leave the softmax out"),
        (Layer(lambda x: x.argmax(1)), "return logits before argmax"),
        (Layer(lambda x: (x, x)), "without a tuple"),
        (Layer(lambda x: x / 0), "not finite"),
        (Layer(lambda x: x + torch.rand(1)), "other scores for the same images"),
        (Counting(), "keeps state"),
        (Layer(lambda x: 9 * (x - x.mean(0))), "looks at its neighbours"),
        (Layer(lambda x: x @ x), r"failed on 3 images \(1, 28, 28\) with RuntimeError: mat1 and mat2"),
    ],
)
def test_networks_that_break_their_promise(module: nn.Module, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as refusal:
        require_sound(own(module), IMAGES)
    assert "\n" not in str(refusal.value)


def test_objects_are_examined_as_names_are() -> None:
    with pytest.raises(NetworkError, match="keeps state"):
        islands.evolve(own(Counting()))


class Custom:
    """A classifier of the user's that gives whatever it is told."""

    name, classes, channels, input_size, fingerprint, device = "custom", ("a", "b"), 1, 28, "", CPU

    def __init__(self, prediction: Prediction) -> None:
        self._prediction = prediction

    def predict(self, images: Tensor) -> Prediction:
        return self._prediction


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (torch.tensor([[3.0, -1.0]] * 3), "if these are logits, return"),
        (torch.ones(3, 4) / 4, r"expected \(3, 2\)"),
        (torch.ones(3, 2, dtype=torch.int64), "expected float32"),
        (torch.full((3, 2), torch.nan), "not finite"),
    ],
)
def test_classifiers_that_break_their_promise(probabilities: Tensor, message: str) -> None:
    custom: Classifier = Custom(Prediction(probabilities, probabilities))
    with pytest.raises(NetworkError, match=message):
        require_sound(custom, IMAGES)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("torchvision:alexnet@DEFAULT", "torchvision #7570"),
            ("torchvision:alexnet", "expected torchvision:NAME@WEIGHTS"),
            ("caffe:resnet:x", "expected caffe:lenet"),
            ("ensemble:lenet-mnist", r"expected ensemble:A\+B"),
            ("file:network.txt", "expected file:PATH.py:FUNCTION"),
            ("resnet-50", "which is no network; expected one of"),
        ],
    )
    def test_that_mean_nothing_are_refused_before_torch_is_needed(self, name: str, message: str) -> None:
        with pytest.raises(NetworkError, match=message):
            parse_network(name)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("torchvision:alexnit@IMAGENET1K_V1", "expected such as alexnet"),
            ("torchvision:alexnet@IMAGENET1K_V7", "expected one of IMAGENET1K_V1"),
            ("timm:resnet18", "expected one of resnet18"),
            ("timm:resnot18.a1_in1k", "which timm lacks"),
            ("ensemble:lenet-mnist+efficientnet-lite0", "agree in class names"),
            ("no_such_module:build", "there is no module 'no_such_module'"),
            ("json:no_such_function", "has no function or class 'no_such_function'"),
            ("file:missing.py:build", "no such Python file"),
            ("torchscript:missing.pt", "there is no such file"),
        ],
    )
    def test_of_what_is_not_there(self, name: str, message: str) -> None:
        with pytest.raises(NetworkError, match=message):
            load_classifier(name, device=CPU)

    def test_tell_the_number_of_classes_where_they_can(self) -> None:
        names = ["label-only:lenet-mnist", "ensemble:a.b:c+torchvision:alexnet@IMAGENET1K_V1", "mine:build"]
        assert [class_count(name) for name in names] == [10, 1000, None]


class TestWeights:
    def test_of_the_user_replace_the_packaged_ones(self, tmp_path: Path) -> None:
        network = build_lenet()
        save_file(network.state_dict(), tmp_path / "a.safetensors")
        torch.save({"state_dict": network.state_dict()}, tmp_path / "a.pt")
        found = [
            load_classifier("lenet-mnist", weights=str(tmp_path / name), device=CPU)
            for name in ("a.safetensors", "a.pt")
        ]
        torch.testing.assert_close(found[0].predict(IMAGES).logits, network(IMAGES / 255))
        assert found[0].fingerprint == found[1].fingerprint
        assert found[0].fingerprint != load_classifier("lenet-mnist", device=CPU).fingerprint

    @pytest.mark.parametrize(
        ("save", "said"),
        [
            (lambda state: prefixed("module.", state), "stripped 'module'"),
            (lambda state: prefixed("_orig_mod.", state), "stripped '_orig_mod'"),
            (lambda state: prefixed("module._orig_mod.", state), "stripped 'module', '_orig_mod'"),
            (lambda state: {"state_dict": prefixed("model.net.", state)}, "stripped 'model.net.'"),
            (
                lambda state: {"model_state_dict": state, "optimizer_state_dict": {}, "epoch": 5},
                "under 'model_s",
            ),
            (lambda state: {"model": {"state_dict": state}, "model_ema": state}, "under 'model.state_dict'"),
            (lambda state: {"net": prefixed("module.", state), "acc": 99.0}, "under 'net'"),
            (lambda state: {key: value.half() for key, value in state.items()}, ""),
        ],
    )
    def test_are_taken_as_training_scripts_save_them(
        self,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        save: Callable[[dict[str, Tensor]], object],
        said: str,
    ) -> None:
        state = {key: value.half().float() for key, value in build_lenet().state_dict().items()}
        torch.save(state, tmp_path / "plain.pt")
        torch.save(save(state), tmp_path / "lenet-20240131.pt")
        plain, found = (
            load_classifier("lenet-mnist", weights=str(tmp_path / name), device=CPU)
            for name in ("plain.pt", "lenet-20240131.pt")
        )
        assert found.fingerprint == plain.fingerprint
        assert said in caplog.text
        assert bool(said) == bool(caplog.records)

    def test_are_as_strict_as_torch(self) -> None:
        """Counters of old batch norms may lack; wrappers may stand inside of names, or be names."""
        network = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Linear(2, 2)))
        state = {"0.weight": torch.ones(2), "0.bias": torch.ones(2), "0.running_mean": torch.ones(2)}
        state |= {"0.running_var": torch.ones(2), "1.module.0.weight": torch.ones(2, 2)}
        fill(network, {**state, "1.module.0.bias": torch.ones(2)}, "inside")
        with pytest.raises(NetworkError, match=r"\(missing: .*1.0.bias"):
            fill(network, state, "inside")
        wrapped = nn.DataParallel(nn.Linear(2, 2))
        fill(wrapped, wrapped.state_dict(), "itself")
        with pytest.raises(NetworkError, match=r"\(missing: module.bias\)"):
            fill(wrapped, {"module.weight": torch.ones(2, 2)}, "itself")
        with pytest.raises(NetworkError, match=r"\(unexpected: loss.weight\)"):
            fill(
                nn.Linear(2, 1, bias=False),
                {"net.weight": torch.ones(1, 2), "loss.weight": torch.ones(1)},
                "",
            )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"model": {}, "args": Namespace(rate=0.1)}, "holds an object of argparse.Namespace"),
            ({"weight": torch.ones(1), "epoch": 3}, "a mapping; no tensors: epoch; expected"),
            (torch.ones(1), "got Tensor; expected a mapping"),
            (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
            (b"PK\x03\x04 cut short", "damaged or cut short"),
        ],
    )
    def test_that_are_none_say_why(self, tmp_path: Path, content: object, message: str) -> None:
        file = tmp_path / "a.pt"
        file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
        with pytest.raises(NetworkError, match=message) as refusal:
            load_classifier("lenet-mnist", weights=str(file), device=CPU)
        assert "\n" not in str(refusal.value)

    def test_of_another_architecture_say_which_keys_differ(self, tmp_path: Path) -> None:
        state = build_lenet().state_dict()
        state["7.weight"] = torch.zeros(11, 500)
        state["head.bias"] = state.pop("7.bias")
        torch.save(state, tmp_path / "a.pt")
        with pytest.raises(NetworkError) as refusal:
            load_classifier("lenet-mnist", weights=str(tmp_path / "a.pt"), device=CPU)
        for part in ("missing: 7.bias", "unexpected: head.bias", "7.weight (11, 500) instead of (10, 500)"):
            assert part in str(refusal.value)

    def test_that_hold_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        torch.save(build_lenet(), tmp_path / "whole.pt")
        with pytest.raises(NetworkError, match="objects are never unpickled"):
            load_classifier("lenet-mnist", weights=str(tmp_path / "whole.pt"), device=CPU)

    @pytest.mark.parametrize("name", ["a.png", "a.safetensors"])
    def test_that_are_a_picture_are_refused(self, tmp_path: Path, name: str) -> None:
        Image.new("L", (9, 9)).save(tmp_path / name, format="PNG")
        with pytest.raises(NetworkError, match="no plain state dict"):
            load_classifier("lenet-mnist", weights=str(tmp_path / name), device=CPU)

    def test_with_another_checksum_are_refused(self, tmp_path: Path) -> None:
        torch.save(build_lenet().state_dict(), tmp_path / "lenet-0000000a.pt")
        with pytest.raises(NetworkError, match="expected 0000000a"):
            load_classifier("lenet-mnist", weights=str(tmp_path / "lenet-0000000a.pt"), device=CPU)
        with pytest.raises(NetworkError, match="expected 12345678"):
            load_classifier(
                "lenet-mnist",
                weights=str(tmp_path / "lenet-0000000a.pt"),
                sha256="12345678",
                device=CPU,
            )

    def test_are_refused_where_there_is_no_place_for_them(self) -> None:
        with pytest.raises(NetworkError, match=r"network\.weights: got 'a', but svm-mnist takes none"):
            load_classifier("svm-mnist", weights="a", device=CPU)


class TestSavedPrograms:
    DESCRIPTION = json.dumps({"classes": list("abcdefghij"), "input_size": 28, "channels": 1})

    @pytest.mark.parametrize("kind", ["torchscript", "exported"])
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_score_as_the_network_did(self, tmp_path: Path, kind: str) -> None:
        network = build_lenet().eval()
        path = tmp_path / "net.pt2"
        example = torch.zeros(2, 1, 28, 28)
        if kind == "torchscript":
            torch.jit.save(torch.jit.trace(network, example), path)
        else:
            batch = {0: torch.export.Dim.DYNAMIC}
            torch.export.save(torch.export.export(network, (example,), dynamic_shapes=(batch,)), path)
        # As Windows' editors write it.
        path.with_name("net.pt2.json").write_text(self.DESCRIPTION, encoding="utf-8-sig", newline="\r\n")
        classifier = load_classifier(f"{kind}:{path}", device=CPU)
        require_sound(classifier, IMAGES)
        torch.testing.assert_close(classifier.predict(IMAGES).logits, network(IMAGES / 255))
        assert classifier.classes == tuple("abcdefghij")
        low = load_classifier(f"{kind}:{path}", precision="bfloat16", device=CPU)
        torch.testing.assert_close(low.predict(IMAGES).logits, network(IMAGES / 255), atol=0.02, rtol=0.1)

    @pytest.mark.parametrize("kind", ["torchscript", "exported"])
    def test_that_are_a_picture_are_refused(self, tmp_path: Path, kind: str) -> None:
        Image.new("L", (9, 9)).save(tmp_path / "net.png")
        with pytest.raises(NetworkError, match="no such network"):
            load_classifier(f"{kind}:{tmp_path}/net.png", device=CPU)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_without_a_description_say_what_it_looks_like(self, tmp_path: Path) -> None:
        torch.jit.save(torch.jit.trace(build_lenet(), torch.zeros(2, 1, 28, 28)), tmp_path / "net.pt")
        with pytest.raises(NetworkError, match=r'net\.pt\.json: .* is missing; expected such as \{"classes"'):
            load_classifier(f"torchscript:{tmp_path}/net.pt", device=CPU)


def test_absent_torchvision_weights_name_the_command_that_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # Nothing listens there: the download fails at once.
    for proxy in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NetworkError, match="run `islands assets pull mobilenet_v2`"):
        load_classifier("torchvision:mobilenet_v2@IMAGENET1K_V1", device=CPU)
    with pytest.raises(NetworkError, match="no package carries it: fetch https://"):
        load_classifier("torchvision:alexnet@IMAGENET1K_V1", device=CPU)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_gives_float32_scores_that_are_near(precision: str) -> None:
    full = load_classifier("lenet-mnist", device=CPU)
    low = load_classifier("lenet-mnist", precision=precision, device=CPU)  # type: ignore[arg-type]
    prediction = low.predict(IMAGES)
    assert prediction.probabilities.dtype == torch.float32
    torch.testing.assert_close(prediction.logits, full.predict(IMAGES).logits, atol=0.5, rtol=0.05)
    assert low.fingerprint != full.fingerprint


def test_an_ensemble_is_the_mean_and_label_only_the_top() -> None:
    """Paper supplement B."""
    members = [load_classifier(name, device=CPU).predict(IMAGES) for name in ("lenet-mnist", "svm-mnist")]
    mean = (members[0].probabilities + members[1].probabilities) / 2
    ensemble = load_classifier("ensemble:lenet-mnist+svm-mnist", device=CPU)
    torch.testing.assert_close(ensemble.predict(IMAGES).probabilities, mean)
    hidden = load_classifier("label-only:lenet-mnist", device=CPU).predict(IMAGES).probabilities
    assert torch.equal(hidden.argmax(1), members[0].logits.argmax(1))
    assert hidden.unique().tolist() == [0, 1]
