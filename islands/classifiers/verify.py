"""Weights are used only when their checksum is right, and when they fit the network."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from islands.errors import NetworkError

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")
"""PyTorch writes the beginning of a file's sha256 into its name: `mobilenet_v2-b0353104.pth`."""
_SHOWN = 3


@dataclass(frozen=True)
class LocalFile:
    """A file that the user names.

    Attributes:
        path: of the file.
        sha256: what it must have, or the beginning of it; None: what its name says, if anything.
    """

    path: Path
    sha256: str | None = None

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            NetworkError: there is no such file, or it has another checksum.
        """
        if not self.path.is_file():
            raise NetworkError(f"{self.path}: there is no such file; expected a path from {Path.cwd()}")
        data = self.path.read_bytes()
        in_name = _HASH_IN_NAME.search(self.path.name)
        if expected := self.sha256 or (in_name and in_name[1]):
            require_sha256(data, expected, str(self.path))
        return data


def require_sha256(data: bytes, expected: str, name: str) -> None:
    """Check weights against a sha256, or the beginning of one, in hexadecimal.

    Raises:
        NetworkError: they differ.
    """
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(expected.lower()):
        raise NetworkError(
            f"{name}: got sha256 {found[:12]}, expected {expected[:12]}; the file is damaged or another one: "
            "fetch it again"
        )


def read_state_dict(file: LocalFile) -> dict[str, Tensor]:
    """Return the tensors of a `.safetensors` or torch file; no code in it is ever run.

    Raises:
        NetworkError: the file is missing, is no state dict, or has another checksum.
    """
    data = file.read()
    try:
        if file.path.suffix == ".safetensors":
            return load_safetensors(data)
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise NetworkError(
            f"{file.path}: got a file that is no plain state dict; expected what "
            "torch.save(network.state_dict(), ...) or safetensors writes: objects are never unpickled"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise NetworkError(f"{file.path}: got {type(found).__name__}; expected a mapping of names to tensors")
    return dict(found)


def fill(network: nn.Module, state: Mapping[str, Tensor], source: str) -> nn.Module:
    """Load a state dict into `network`, and return it.

    Raises:
        NetworkError: keys or shapes differ; the line says which.
    """
    own = network.state_dict()
    if differences := [
        *_listed("missing", [key for key in own if key not in state]),
        *_listed("unexpected", [key for key in state if key not in own]),
        *_listed(
            "of another shape",
            [
                f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
                for key in own
                if key in state and own[key].shape != state[key].shape
            ],
        ),
    ]:
        raise NetworkError(
            f"{source}: got weights of another architecture ({'; '.join(differences)}); expected those of "
            "the named network"
        )
    network.load_state_dict(dict(state))
    return network


def _listed(what: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return [f"{what}: {', '.join(keys[:_SHOWN])}{more}"]
