"""The user's own network: a function that returns it."""

from __future__ import annotations

import inspect
import logging
import math
import operator
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from islands.classifiers.catalogue import OWN_NETWORKS
from islands.classifiers.contract import Classifier
from islands.classifiers.network_classifier import Preprocessing
from islands.classifiers.torch_classifier import Network
from islands.errors import NetworkError
from islands.extensions.foreign import told

_log = logging.getLogger(__name__)

_EXPECTED = (
    "expected a torch.nn.Module with the attributes classes and input_size (and channels, mean, std where "
    "they are not 3, 0, 1), or a Classifier"
)
_CLASSIFIER = ("name", "classes", "channels", "input_size", "fingerprint", "device", "predict")
_REQUIRED = ("classes", "input_size")
_MISSING = object()
_SHOWN = 80


def load_own(name: str) -> Network | Classifier:
    """Call the user's function and take what it returns.

    Args:
        name: `module:function`, found from the current folder or among installed packages,
            `file:PATH.py:function`, which finds modules beside it while it is imported and called, or the
            name of an entry point of `islands.networks`. The function takes no argument. It returns a
            classifier, or an `nn.Module` that takes float32 (B, channels, input_size, input_size) with
            pixels (x - mean) / std of x in [0, 1], gives logits, or a mapping or an object that has them as
            `logits`, and has these attributes:

            - `classes`: the K class names in the order of the outputs, or a mapping of numbers from 0 to
              names, or of names to numbers.
            - `input_size`: height and width in pixels, which are equal.
            - `channels`: 1 or 3 (the default).
            - `mean`, `std`: one number, or one for each channel; 0 and 1 unless given.

            Numbers may be Python's, arrays or tensors.

    Raises:
        NetworkError: there is no such function, it fails, or what it returns does not fit.
    """
    with OWN_NETWORKS.found(name) as function:
        with told(
            f"{name}: the function failed with", "expected one that returns a network", raises=NetworkError
        ):
            found = function if isinstance(function, nn.Module) else function()
        if isinstance(found, nn.Module):
            return describe(name, found)
    if missing := [attribute for attribute in _CLASSIFIER if not hasattr(found, attribute)]:
        raise NetworkError(f"{name}: got {type(found).__name__} without {', '.join(missing)}; {_EXPECTED}")
    classifier: Classifier = found
    return classifier


def describe(name: str, module: Any) -> Network:
    """Read what a module says of itself in its attributes; see `load_own`.

    Lazy layers are filled by a forward pass, with weights drawn under seed 0. What is no module describes one
    that is in a file.

    Raises:
        NetworkError: an attribute is missing or means nothing, or the module has no weights.
    """
    read = {attribute: _read(name, module, attribute) for attribute in _REQUIRED}
    if missing := [attribute for attribute, value in read.items() if value is _MISSING]:
        raise NetworkError(f"{name}: got {type(module).__name__} without {', '.join(missing)}; {_EXPECTED}")
    channels = _integer(_read(name, module, "channels", 3))
    if channels not in (1, 3):
        got = _shown(_read(name, module, "channels", 3))
        raise NetworkError(f"{name}: got channels {got}; expected 1 for grey images or 3 for RGB")
    size = _size(name, read["input_size"], channels)
    network = Network(
        module,
        _classes(name, read["classes"]),
        Preprocessing(
            channels,
            size,
            mean=_numbers(name, "mean", _read(name, module, "mean", 0.0), channels),
            std=_numbers(name, "std", _read(name, module, "std", 1.0), channels),
        ),
        batch_size=64,
    )
    if isinstance(module, nn.Module):
        _require_weights(name, module, (2, channels, size, size))
    return network


def _read(name: str, module: object, attribute: str, default: object = _MISSING) -> object:
    """Return an attribute of a module, or of the one that it wraps, as `DataParallel` does."""
    with told(
        f"{name}: reading its attribute {attribute} failed with", "expected a plain value", NetworkError
    ):
        for holder in (module, getattr(module, "module", None)):
            found = inspect.getattr_static(holder, attribute, None)
            if isinstance(found, property) and found.fget is not None:
                return found.fget(holder)  # nn.Module takes an AttributeError within it for its absence
            if hasattr(holder, attribute):
                return getattr(holder, attribute)
    return default


def _classes(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        names = _in_order(name, value)
    elif isinstance(value, Tensor | np.ndarray) and value.ndim == 1:
        names = value.tolist()
    elif isinstance(value, Iterable) and not isinstance(value, set | frozenset | Tensor | np.ndarray):
        names = list(value)
    else:
        raise NetworkError(
            f"{name}: got classes {_shown(value)}; expected the class names in the order of the outputs, "
            "such as a list of them"
        )
    classes = tuple(each.decode() if isinstance(each, bytes) else str(each) for each in names)
    if not classes:
        raise NetworkError(f"{name}: got no classes; expected a name for each output")
    if repeated := [each for each, times in Counter(classes).items() if times > 1]:
        raise NetworkError(
            f"{name}: got {len(set(classes))} different names for {len(classes)} classes ({repeated[0]!r} "
            "stands there more than once); expected names that differ"
        )
    return classes


def _in_order(name: str, mapping: Mapping[Any, Any]) -> list[object]:
    """Return the names of {number: name}, where numbers may be text as in JSON, or of {name: number}."""
    keys = [int(key) if isinstance(key, str) and key.isdecimal() else _integer(key) for key in mapping]
    values = [_integer(value) for value in mapping.values()]
    named = dict(zip(keys, mapping.values(), strict=True))
    if None not in values and not any(_integer(key) is not None for key in mapping):
        named = dict(zip(values, mapping, strict=True))
    if sorted(named, key=str) != sorted(range(len(mapping)), key=str):
        raise NetworkError(
            f"{name}: got classes {_shown(dict(mapping))}; expected a name for each number from 0 to "
            f"{max(0, len(mapping) - 1)}"
        )
    return [named[number] for number in range(len(mapping))]


def _size(name: str, value: object, channels: int) -> int:
    sizes = [*value] if isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1 else [value]
    found = [_integer(size) for size in sizes]
    if len(found) == 3 and found[0] == channels:  # as timm has it
        found = found[1:]
    if len(found) > 2 or len({*found}) != 1 or found[0] is None or found[0] < 1:
        raise NetworkError(
            f"{name}: got input_size {_shown(value)}; expected the pixels of one side: images are square, so "
            "let forward resize them where the network wants another shape"
        )
    return found[0]


def _integer(value: Any) -> int | None:
    """Return a whole number of any type; None where it is none."""
    # To Python, True is the number 1.
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return int(value) if isinstance(value, float | np.floating) and float(value).is_integer() else None


def _numbers(name: str, attribute: str, value: Any, channels: int) -> tuple[float, ...]:
    try:
        numbers = tuple(torch.as_tensor(value, dtype=torch.float64).flatten().tolist())
    except (TypeError, ValueError, RuntimeError):
        numbers = ()
    usable = all(math.isfinite(number) and (attribute == "mean" or number > 0) for number in numbers)
    if len(numbers) not in (1, channels) or not usable:
        above = " above 0" if attribute == "std" else ""
        raise NetworkError(
            f"{name}: got {attribute} {_shown(value)} for {channels} channels; expected one number{above}"
            + (f", or {channels}" if channels > 1 else "")
        )
    return numbers


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _require_weights(name: str, module: nn.Module, shape: tuple[int, ...]) -> None:
    tensors = [*chain(module.named_parameters(), module.named_buffers())]
    if absent := next((key for key, tensor in tensors if tensor.is_meta and not is_lazy(tensor)), None):
        raise NetworkError(
            f"{name}: got {absent} on the device meta, where tensors have no values; expected weights: load "
            "them, or build the network on the CPU"
        )
    if lazy := [key for key, tensor in tensors if is_lazy(tensor)]:
        with (
            told(
                f"{name}: filling its lazy layers failed with",
                "call it once before it is returned",
                NetworkError,
            ),
            # Seeding must not touch the random numbers of whoever asks.
            torch.random.fork_rng(devices=[]),
            torch.no_grad(),
        ):
            torch.manual_seed(0)
            # In evaluation mode: zeros must not enter the statistics of batch norms.
            module.eval()(torch.zeros(shape))
        _log.warning("%s: its lazy layers (%s) got random weights, of seed 0", name, ", ".join(lazy))
