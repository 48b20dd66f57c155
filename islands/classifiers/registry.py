"""Loads networks by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from islands.classifiers.catalogue import parse_network, served_parts
from islands.classifiers.combinators import Ensemble, LabelOnly, Stability, Weakest
from islands.classifiers.contract import Classifier
from islands.classifiers.engines import EngineName
from islands.classifiers.network_classifier import NotFinite, Outputs, Precision, View
from islands.classifiers.openvino_files import FileClassifier, FileNetwork, load_file
from islands.classifiers.query_ledger import Limits
from islands.classifiers.screened import MARGINS, ScreenedClassifier, full_batch
from islands.classifiers.served_networks import ServedClassifier, load_served
from islands.classifiers.state_dicts import LocalFile
from islands.classifiers.torch_classifier import Network, build_classifier
from islands.errors import ConfigError, NetworkError
from islands.memory import keep_freed_memory


def load_classifier(
    name: str,
    *,
    view: View = "whole",
    batch_size: int | None = None,
    precision: Precision = "float32",
    engine: EngineName = "auto",
    screen: Precision | None = None,
    screen_margin: float | None = None,
    weights: str | None = None,
    sha256: str | None = None,
    description: str | None = None,
    queries_per_second: float | None = None,
    budget: int | None = None,
    outputs: Outputs | None = None,
    not_finite: NotFinite | None = None,
    device: torch.device,
    at_once: int | None = None,
) -> Classifier:
    """Build a network with its weights and its preprocessing.

    Args:
        name: as `catalogue.NETWORKS` or `catalogue.FAMILIES` have it.
        view: how an image larger than the network's input is shown to it.
        batch_size: images per forward pass; None: what suits the network.
        precision: of the forward pass.
        engine: what runs the forward pass, see `TorchClassifier`.
        screen: precision of a replica that finds the images worth scoring in `precision`; None: no replica.
        screen_margin: see `ScreenedClassifier`; None: what suits `screen`.
        weights: path of a state dict to use in place of the network's own weights.
        sha256: of `weights`, or of the file that `name` holds.
        description: path of what describes a served network, see `load_served`.
        queries_per_second: of a served network, see `Limits`.
        budget: likewise.
        outputs: what the network gives in place of logits, see `islands.config.NetworkConfig`; None: logits.
        not_finite: whether images without finite scores are an error or are marked, see `Prediction`; None:
            an error.
        device: where images are scored.
        at_once: about how many images it will be asked at a time, by which accelerators choose their batches
            where `batch_size` leaves it open; None: not known.

    Raises:
        NetworkError: there is no such network, or its weights are damaged or do not fit.
    """
    # With EfficientNet-Lite0 on one core: 11 ms an image instead of 28 (see `islands.memory`).
    keep_freed_memory()
    if screen is not None:

        def replica(precision: Precision, not_finite: NotFinite | None, at_once: int | None) -> Classifier:
            return load_classifier(
                name,
                view=view,
                batch_size=batch_size,
                precision=precision,
                engine=engine,
                weights=weights,
                sha256=sha256,
                description=description,
                queries_per_second=queries_per_second,
                budget=budget,
                outputs=outputs,
                not_finite=not_finite,
                device=device,
                at_once=at_once,
            )

        # Of the few that might win, batches are filled up: the usual ones are large enough.
        exact = replica(precision, not_finite, None)
        margin = screen_margin or MARGINS[screen]
        # What overflows in low precision is scored again.
        quick = replica(screen, "skip", at_once)
        return ScreenedClassifier(exact, quick, batch_size=full_batch(exact), margin=margin)
    prefix, rest = parse_network(name)

    if not served_parts(name):
        _refuse(name, description=description, queries_per_second=queries_per_second, budget=budget)

    def member(name: str) -> Classifier:
        served = served_parts(name)
        return load_classifier(
            name,
            view=view,
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            description=description if served else None,
            queries_per_second=queries_per_second if served else None,
            budget=budget if served else None,
            outputs=outputs,
            not_finite=not_finite,
            device=device,
            at_once=at_once,
        )

    if prefix in _COMBINATORS:
        _refuse(name, weights=weights, sha256=sha256)
        return _COMBINATORS[prefix](rest, member)
    if prefix == "kserve":
        _refuse(name, weights=weights, sha256=sha256)
        if precision != "float32" or engine != "auto":
            raise NetworkError(
                f"{name}: got network.precision {precision} and network.engine {engine} for a served one; "
                "expected float32 and auto: its server decides"
            )
        return ServedClassifier(
            name,
            load_served(rest, description),
            Limits(queries_per_second, budget),
            view=view,
            batch_size=batch_size,
            device=device,
            outputs=outputs,
            not_finite=not_finite or "error",
        )
    found = _load(name, prefix, rest, weights, sha256)
    if isinstance(found, Network):
        return build_classifier(
            name,
            found,
            view=view,
            batch_size=batch_size,
            precision=precision,
            engine=engine,
            device=device,
            outputs=outputs,
            not_finite=not_finite or "error",
            at_once=at_once,
        )
    if isinstance(found, FileNetwork):
        if engine == "torch":
            raise NetworkError(f"network.engine: got torch for {name}, which OpenVINO runs; expected auto")
        return FileClassifier(
            name,
            found,
            view=view,
            batch_size=batch_size,
            precision=precision,
            device=device,
            outputs=outputs,
            not_finite=not_finite or "error",
        )
    if (view, precision, outputs) != ("whole", "float32", None) or engine == "openvino":
        raise NetworkError(
            f"{name}: got a classifier of your own with network.view {view}, network.precision {precision}, "
            f"network.engine {engine} and network.outputs {outputs}; expected whole, float32, auto and null: "
            "it decides itself how images are shown and scored"
        )
    return found


def resolve_device(name: str, *, has_gpu: bool = True) -> torch.device:
    """Return the device that `auto`, `cuda`, `mps` or `cpu` means here.

    Args:
        name: one of these.
        has_gpu: whether this process may take a GPU of CUDA. All that take one unasked take the same.

    Raises:
        ConfigError: this machine has no such device, or this process is not to take it.
    """
    if name == "cuda" and not has_gpu:
        raise ConfigError(
            "device: got cuda for processes of Ray that reserve no GPU; set gpus beside it to the share of "
            "one that each takes, such as 0.25"
        )
    # In the order in which `auto` prefers them.
    available = {
        "cuda": has_gpu and torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, here in available.items() if here))
    if not available.get(name, False):
        have = ", ".join(device for device, here in available.items() if here)
        raise ConfigError(f"workers.device: got {name}, but this machine offers {have}; use one, or auto")
    return torch.device(name)


def _load(
    name: str, prefix: str, rest: str, weights: str | None, sha256: str | None
) -> Network | FileNetwork | Classifier:
    if prefix in _FROM_FILE:
        _refuse(name, weights=weights)
        return _FROM_FILE[prefix](rest, sha256)
    if prefix in _WITH_WEIGHTS:
        if weights is None:
            _refuse(name, sha256=sha256)
        return _WITH_WEIGHTS[prefix](rest, LocalFile(Path(weights), sha256) if weights else None)
    _refuse(name, weights=weights, sha256=sha256)
    if prefix.endswith("-mnist"):
        from islands.classifiers.pixel_models import load_pixel_model

        return load_pixel_model(prefix)
    from islands.classifiers.own import load_own

    return load_own(name)


def _refuse(name: str, **settings: str | float | None) -> None:
    for key, value in settings.items():
        if value is not None:
            raise NetworkError(f"network.{key}: got {value!r}, but {name} takes none; expected null")


# Each loader is imported when it is asked for: some need packages that are slow to import, or missing.
def _lenet(_: str, weights: LocalFile | None) -> Network:
    from islands.classifiers.lenet import load_lenet

    return load_lenet(weights)


def _lite(number: int) -> Callable[[str, LocalFile | None], Network]:
    def load(_: str, weights: LocalFile | None) -> Network:
        from islands.classifiers.efficientnet_lite import load_efficientnet_lite

        return load_efficientnet_lite(number, weights)

    return load


def _torchvision(spec: str, weights: LocalFile | None) -> Network:
    from islands.classifiers.torchvision_networks import load_torchvision

    return load_torchvision(spec, weights)


def _timm(spec: str, weights: LocalFile | None) -> Network:
    from islands.classifiers.timm_networks import load_timm

    return load_timm(spec, weights)


def _torchscript(path: str, sha256: str | None) -> Network:
    from islands.classifiers.saved_programs import load_torchscript

    return load_torchscript(LocalFile(Path(path), sha256))


def _exported(path: str, sha256: str | None) -> Network:
    from islands.classifiers.saved_programs import load_exported

    return load_exported(LocalFile(Path(path), sha256))


def _openvino(path: str, sha256: str | None) -> FileNetwork:
    return load_file(LocalFile(Path(path), sha256))


def _caffe(spec: str, sha256: str | None) -> Network:
    from islands.classifiers.caffe import load_caffe

    return load_caffe(spec, sha256)


def _trained_lenet(seed: str, _: str | None) -> Network:
    from islands.classifiers.lenet import load_trained_lenet

    return load_trained_lenet(int(seed))


def _trained(fingerprint: str, _: str | None) -> Network:
    from islands.classifiers.trained import load_trained

    return load_trained(fingerprint)


_WITH_WEIGHTS: dict[str, Callable[[str, LocalFile | None], Network]] = {
    "lenet-mnist": _lenet,
    "efficientnet-lite0": _lite(0),
    "efficientnet-lite1": _lite(1),
    "efficientnet-lite2": _lite(2),
    "torchvision": _torchvision,
    "timm": _timm,
}
"""Networks that take weights of the user's in place of their own."""

_FROM_FILE: dict[str, Callable[[str, str | None], Network | FileNetwork]] = {
    "torchscript": _torchscript,
    "exported": _exported,
    "openvino": _openvino,
    "caffe": _caffe,
    "lenet": _trained_lenet,
    "trained": _trained,
}
"""Networks whose name says where their weights are."""

_COMBINATORS: dict[str, Callable[[str, Callable[[str], Classifier]], Classifier]] = {
    "ensemble": lambda names, load: Ensemble([load(name) for name in names.split("+")]),
    "weakest": lambda names, load: Weakest([load(name) for name in names.split("+")]),
    "label-only": lambda name, load: LabelOnly(load(name)),
    "stability": lambda name, load: Stability(load(name)),
}
