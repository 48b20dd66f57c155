"""Networks that stages of this package trained: kept by fingerprint, each with the record of its training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import nn

from islands.classifiers.lenet import build_lenet
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import fill, require_sha256
from islands.classifiers.torch_classifier import Network, fingerprint_of
from islands.errors import NetworkError
from islands.files import write_whole
from islands.folders import cache_directory

_DIGITS = 16
"""Of a fingerprint, in names."""


@dataclass(frozen=True)
class NetworkRecord:
    """What a trained network is, and how it was made.

    Attributes:
        architecture: for `build_network`.
        classes: the K class names.
        preprocessing: what it was trained with.
        recipe: all that the weights follow from: data, seed, optimiser, schedule, what training started from.
        test_accuracy: share of the held-back images classified right.
        torch: version.
        fingerprint: see `Classifier.fingerprint`, of the view `whole` in float32.
        sha256: of the file of weights.
    """

    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Mapping[str, Any]
    test_accuracy: float
    torch: str
    fingerprint: str
    sha256: str

    @property
    def name(self) -> str:
        """For `network.name`."""
        return f"trained:{self.fingerprint[:_DIGITS]}"

    @property
    def present(self) -> bool:
        """Whether the weights are here."""
        return (_folder(self.fingerprint) / "network.json").is_file()

    def as_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> NetworkRecord:
        """Return the record that `as_json` wrote."""
        values = json.loads(text)
        shown = {**values["preprocessing"]}
        shown |= {key: tuple(shown[key]) for key in ("mean", "std")}
        return NetworkRecord(
            **{**values, "classes": tuple(values["classes"]), "preprocessing": Preprocessing(**shown)}
        )


def build_mlp(outputs: int = 10) -> nn.Module:
    """Return the untrained 784-300-100-K perceptron of LeCun et al. (1998, section III.C.3), with ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 300),
        nn.ReLU(),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Linear(100, outputs),
    )


_OF_DIGITS = {"lenet": build_lenet, "mlp": build_mlp}


def build_network(architecture: str, classes: tuple[str, ...], size: int, seed: int) -> Network:
    """Return an untrained network.

    Args:
        architecture: `lenet`, `mlp` (both 28 x 28 and grey), or `torchvision:NAME`.
        classes: the K class names.
        size: height and width of its input in pixels.
        seed: of the weights.

    Raises:
        NetworkError: there is no such architecture.
    """
    if architecture in _OF_DIGITS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = _OF_DIGITS[architecture](len(classes))
        return Network(module, classes, Preprocessing(1, 28), batch_size=256)
    family, _, name = architecture.partition(":")
    if family != "torchvision":
        raise NetworkError(
            f"{architecture}: got no architecture; expected {', '.join(_OF_DIGITS)} or torchvision:NAME"
        )
    from islands.classifiers import torchvision_networks as vision
    from islands.classifiers.torchvision_cpu import import_torchvision

    vision.require_known(architecture, name)
    weights = next(iter(import_torchvision().models.get_model_weights(name)))
    preprocessing = replace(vision.preprocessing_of(weights.transforms()), input_size=size, resize=size)
    module = vision.untrained(name, {"num_classes": len(classes)}, seed)
    return Network(module, classes, preprocessing)


def transplant(source: Network, target: Network) -> None:
    """Copy weights of one training into a network of the same architecture that may have other classes.

    Where the source's classes are the first of the target's, their outputs are kept too.
    """
    theirs, own = source.module.state_dict(), target.module.state_dict()
    keep_outputs = target.classes[: len(source.classes)] == source.classes
    for name, tensor in own.items():
        weights = theirs[name]
        if weights.shape == tensor.shape:
            tensor.copy_(weights)
        elif keep_outputs:
            tensor[: len(weights)].copy_(weights)


def keep(
    network: Network, architecture: str, recipe: Mapping[str, Any], test_accuracy: float
) -> NetworkRecord:
    """Store a trained network for `load_trained`, and return its record; the record is written last."""
    module = network.module.eval().to(torch.float32)
    # safetensors refuses tensors that are not contiguous.
    weights = save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})
    record = NetworkRecord(
        architecture=architecture,
        classes=network.classes,
        preprocessing=network.preprocessing,
        recipe=recipe,
        test_accuracy=test_accuracy,
        torch=torch.__version__,
        fingerprint=fingerprint_of(module, network.preprocessing, "float32"),
        sha256=hashlib.sha256(weights).hexdigest(),
    )
    folder = _folder(record.fingerprint)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "network.safetensors", weights)
    write_whole(folder / "network.json", record.as_json())
    return record


def load_trained(fingerprint: str) -> Network:
    """Return the network whose fingerprint begins with these 16 digits.

    Raises:
        NetworkError: it was not trained here, or its weights are damaged.
    """
    folder = _folder(fingerprint)
    if not (folder / "network.json").is_file():
        raise NetworkError(
            f"trained:{fingerprint}: expected {folder}, found none; run the pipeline that trained it again, "
            "or copy that folder from where it was trained"
        )
    # Some editors put a byte order mark in front.
    record = NetworkRecord.from_json((folder / "network.json").read_text(encoding="utf-8-sig"))
    weights = (folder / "network.safetensors").read_bytes()
    require_sha256(weights, record.sha256, str(folder / "network.safetensors"))
    network = build_network(record.architecture, record.classes, record.preprocessing.input_size, 0)
    fill(network.module, load(weights), str(folder))
    return network._replace(preprocessing=record.preprocessing)


def _folder(fingerprint: str) -> Path:
    return cache_directory("trained", fingerprint[:_DIGITS])
