"""Weights are used only when their checksum is right, and when they fit the network."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from islands.errors import NetworkError

_log = logging.getLogger(__name__)

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")
"""PyTorch writes the beginning of a file's sha256 into its name: `mobilenet_v2-b0353104.pth`."""
_ENTRIES = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "module",
    "params",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "params_ema",
    "ema",
)
"""Where training scripts keep the weights within a checkpoint; the first that is there counts."""
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What DataParallel, torch.compile and the like put into the names of weights, in front or further inside."""
_BLOCKED = re.compile(r"(?:GLOBAL|Unsupported global:|Unsupported class) (?:GLOBAL )?'?([\w.]+)")
"""What torch says of an object that it does not unpickle."""
_SHOWN = 3


@dataclass(frozen=True)
class LocalFile:
    """A file that the user names.

    Attributes:
        path: of the file.
        sha256: what it must have, or the beginning of it; None: what its name says, if anything. Digits from
            0 to 9 alone are a date or a number, though one hash in 43 looks like that too.
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
        if self.sha256:
            require_sha256(data, self.sha256, str(self.path))
        elif (in_name := hash_in_name(self.path.name)) and not in_name.isdecimal():
            advice = "rename it, or set network.sha256, if its name holds no checksum"
            require_sha256(data, in_name, str(self.path), advice)
        return data


def hash_in_name(name: str) -> str | None:
    """Return the digits that may be the beginning of a sha256 in the name of a file."""
    found = _HASH_IN_NAME.search(name)
    return found[1] if found else None


def require_sha256(data: bytes, expected: str, name: str, advice: str = "") -> None:
    """Check weights against a sha256, or the beginning of one, in hexadecimal.

    Raises:
        NetworkError: they differ; the line ends with `advice`.
    """
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(expected.lower()):
        raise NetworkError(
            f"{name}: got sha256 {found[:12]}, expected {expected[:12]}; the file is damaged or another one: "
            f"fetch it again{advice and f', or {advice}'}"
        )


def read_state_dict(file: LocalFile) -> dict[str, Any]:
    """Return the tensors of a `.safetensors` or torch file; no code in it is ever run.

    Of a checkpoint of a whole training, those of the network are taken.

    Raises:
        NetworkError: the file is missing, has no state dict, or has another checksum.
    """
    data = file.read()
    try:
        # The first 8 bytes are the length of the JSON that follows.
        found = load_safetensors(data) if data[8:9] == b"{" else _load(data)
    except Exception as error:  # a file that is something else makes the reader stumble anywhere
        raise NetworkError(
            f"{file.path}: got a file that is no plain state dict{_cause(data, str(error))}; expected what "
            "torch.save(network.state_dict(), ...) or safetensors writes: objects are never unpickled"
        ) from None
    state, entries = _state_in(found, ())
    if state is None:
        raise NetworkError(
            f"{file.path}: got {_described(found)}; expected a mapping of names to tensors, or one under "
            f"{', '.join(_ENTRIES[:6])} and the like"
        )
    if entries:
        _log.warning("%s: took the weights under %r", file.path, ".".join(entries))
    return state


def _load(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _described(found: Any) -> str:
    if not isinstance(found, Mapping):
        return type(found).__name__
    others = [str(key) for key, value in found.items() if not isinstance(value, Tensor)]
    return "; ".join(["a mapping", *_listed("no tensors", others)])


def _cause(data: bytes, error: str) -> str:
    if data.startswith(b"version https://git-lfs"):
        return " but a pointer of Git LFS: run `git lfs pull`"
    if blocked := _BLOCKED.search(error):
        return f" but holds an object of {blocked[1]}: save the state dict alone"
    if "TorchScript" in error:
        return " but TorchScript: name the network torchscript:PATH"
    if "zip archive" in error:
        return " but damaged or cut short"
    return ""


def _state_in(found: Any, entries: tuple[str, ...]) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """Return the state dict within what a file holds, and the entries that lead to it."""
    if not isinstance(found, Mapping):
        return None, entries
    others = [key for key, value in found.items() if not isinstance(value, Tensor)]
    # The name under which torch lets modules keep what is no tensor.
    if found and all(isinstance(key, str) and key.endswith("_extra_state") for key in others):
        return dict(found), entries
    for entry in _ENTRIES:
        state, path = _state_in(found.get(entry), (*entries, entry))
        if state is not None:
            return state, path
    return None, entries


def fill(
    network: nn.Module, state: Mapping[str, Any], source: str, unused: tuple[str, ...] = ()
) -> nn.Module:
    """Load a state dict into `network`, and return it.

    It is as strict as torch. Where names do not fit, a prefix that they have in common is stripped, and what
    wrappers such as DataParallel put into them.

    Args:
        network: to be filled.
        state: names and tensors.
        source: of the state, for messages.
        unused: how names begin that may be there and are not used.

    Raises:
        NetworkError: keys or shapes differ; the line says which.
    """
    own = network.state_dict()
    readings = []
    for names, stripped in _readings(state, own):
        reading = {key: value for key, value in names.items() if not unused or not key.startswith(unused)}
        readings.append(reading)
        try:
            network.load_state_dict(reading, strict=True)
        except (RuntimeError, TypeError):
            continue
        if stripped:
            _log.warning("%s: stripped %s from the names of the weights", source, stripped)
        return network
    # What is told are the differences of the reading that fits best.
    reading = max(readings, key=lambda reading: len(own.keys() & reading.keys()))
    differences = [
        *_listed("missing", [key for key in own if key not in reading]),
        *_listed("unexpected", [key for key in reading if key not in own]),
        *_listed(
            "of another shape",
            [
                f"{key} {tuple(reading[key].shape)} instead of {tuple(own[key].shape)}"
                for key in own
                if isinstance(reading.get(key), Tensor) and own[key].shape != reading[key].shape
            ],
        ),
    ]
    raise NetworkError(
        f"{source}: got weights of another architecture ({'; '.join(differences)}); expected those of "
        "the named network"
    )


def _readings(state: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what the names may mean, and what was stripped from them."""
    names = {key: key for key in state}
    stripped: list[str] = []
    yield dict(state), ""
    for strip in (_without_wrappers, _without_prefix):
        shorter, what = strip(names, own)
        # Two weights that come to have one name would hide each other.
        if what and len(set(shorter.values())) == len(state):
            names, stripped = shorter, [*stripped, *what]
            yield {names[key]: value for key, value in state.items()}, ", ".join(map(repr, stripped))


def _without_wrappers(names: dict[str, str], _: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    parts = {key: name.split(".") for key, name in names.items()}
    found = [wrapper for wrapper in _WRAPPERS if any(wrapper in each for each in parts.values())]
    return {key: ".".join(part for part in each if part not in found) for key, each in parts.items()}, found


def _without_prefix(names: dict[str, str], own: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Strip what stands before most of the names that the network has itself."""
    prefixes = Counter(
        name[: dot.end()]
        for name in names.values()
        for dot in re.finditer(r"\.", name)
        if name[dot.end() :] in own
    )
    if not prefixes:
        return names, []
    (prefix, _), *_ = prefixes.most_common(1)
    return {key: name.removeprefix(prefix) for key, name in names.items()}, [prefix]


def _listed(what: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return [f"{what}: {', '.join(keys[:_SHOWN])}{more}"]
