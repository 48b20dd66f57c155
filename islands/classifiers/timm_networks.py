"""The networks of timm, where it is installed."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import torch

from islands.classifiers.imagenet import imagenet_classes
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.state_dicts import LocalFile, fill, read_state_dict
from islands.classifiers.torch_classifier import Network
from islands.errors import NetworkError


def load_timm(spec: str, weights: LocalFile | None) -> Network:
    """Return a network of timm.

    Args:
        spec: `NAME.TAG`, such as `resnet18.a1_in1k`, whose tag names the weights; or `NAME@random:SEED`.
        weights: a state dict to use in place of the download.

    Raises:
        NetworkError: timm is missing, there is no such network, or its weights cannot be had.
    """
    timm = _import_timm(spec)
    name, _, seed = spec.partition("@random:")
    if not timm.is_model(name):
        near = get_close_matches(name.partition(".")[0], timm.list_models(), n=3)
        raise NetworkError(
            f"timm:{spec}: got {name!r}, which timm lacks; expected such as {', '.join(near) or 'resnet18'}"
        )
    if not seed and name not in timm.list_pretrained(f"{name.partition('.')[0]}.*"):
        tags = ", ".join(timm.list_pretrained(f"{name.partition('.')[0]}.*")[:4])
        raise NetworkError(f"timm:{spec}: got no tag that names weights; expected one of {tags or 'none'}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed or 0))
        try:
            module = timm.create_model(name, pretrained=not seed and weights is None)
        except (OSError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise NetworkError(
                f"timm:{spec}: its weights could not be had ({reason}); fetch them elsewhere and set "
                "network.weights to the file"
            ) from None
    if weights is not None:
        fill(module, read_state_dict(weights), str(weights.path))
    return Network(module, _classes(module.num_classes), _preprocessing(timm, module))


def _import_timm(spec: str) -> Any:
    # It registers torchvision's operators as well.
    from islands.classifiers.torchvision_cpu import import_torchvision

    import_torchvision()
    try:
        import timm
    except ModuleNotFoundError:
        raise NetworkError(f"timm:{spec}: timm is not installed; run `pip install 'islands[timm]'`") from None
    return timm


def _classes(count: int) -> tuple[str, ...]:
    return imagenet_classes() if count == 1000 else tuple(f"class {index}" for index in range(count))


def _preprocessing(timm: Any, module: Any) -> Preprocessing:
    config = timm.data.resolve_data_config(module.pretrained_cfg)
    channels, size, _ = config["input_size"]
    return Preprocessing(
        channels=channels,
        input_size=size,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        # Rounded down, as timm's own evaluation does.
        resize=int(size / config["crop_pct"]),
        interpolation="bicubic" if config["interpolation"] == "bicubic" else "bilinear",
    )
