"""Networks saved whole, as TorchScript or as an exported program, with a JSON file that describes them."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from islands.classifiers.own import describe
from islands.classifiers.state_dicts import LocalFile
from islands.classifiers.torch_classifier import Network
from islands.errors import NetworkError
from islands.texts import decoded


def load_torchscript(file: LocalFile) -> Network:
    """Return the network that `torch.jit.save` wrote; `PATH.json` describes it, see `describe`.

    Raises:
        NetworkError: a file is missing, is something else, or has another checksum.
    """
    return _load(file, "torchscript", "torch.jit.save", _read_script)


def load_exported(file: LocalFile) -> Network:
    """Return the network that `torch.export.save` wrote; `PATH.json` describes it, see `describe`.

    It must be exported in evaluation mode, and with a batch of any size.

    Raises:
        NetworkError: a file is missing, is something else, or has another checksum.
    """
    return _load(file, "exported", "torch.export.save", _Exported)


class _Exported(nn.Module):
    """An exported program, which refuses to be asked for evaluation mode."""

    def __init__(self, data: io.BytesIO) -> None:
        super().__init__()
        self.program = torch.export.load(data).module()
        for module in self.modules():
            module.training = False

    def train(self, mode: bool = True) -> _Exported:  # noqa: ARG002 - it is what it was exported as
        self.training = False
        return self

    def forward(self, pixels: Tensor) -> Any:
        return self.program(pixels)


def _read_script(data: io.BytesIO) -> nn.Module:
    with warnings.catch_warnings():
        # torch calls TorchScript deprecated, which whoever only has such a file cannot change.
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.load(data, map_location="cpu")
    return module


def _load(file: LocalFile, kind: str, writer: str, read: Callable[[io.BytesIO], nn.Module]) -> Network:
    data = file.read()
    try:
        module = read(io.BytesIO(data))
    except Exception as error:
        raise NetworkError(
            f"{kind}:{file.path}: got a file that is no such network ({type(error).__name__}); expected what "
            f"{writer} writes"
        ) from None
    described = description_of(file.path)
    network = describe(f"{kind}:{file.path}", described)
    return network._replace(module=module)


def description_of(path: Path) -> Any:
    """Return what the JSON file beside a network says, as attributes; see `read_description`."""
    return read_description(path.with_name(f"{path.name}.json"))


def read_description(path: Path) -> Any:
    """Return what a JSON file says of a network, as attributes.

    Raises:
        NetworkError: it is missing, or no JSON object.
    """
    example = '{"classes": ["cat", "dog"], "input_size": 32, "channels": 3, "mean": 0.5, "std": 0.5}'
    try:
        return SimpleNamespace(**json.loads(decoded(path.read_bytes())))
    except FileNotFoundError:
        problem = "is missing"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    except (ValueError, TypeError):
        problem = "is no JSON object"
    raise NetworkError(f"{path}: the description of the network {problem}; expected such as {example}")
