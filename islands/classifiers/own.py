"""The user's own network: a function that returns it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from torch import nn

from islands.classifiers.contract import Classifier
from islands.classifiers.torch_classifier import Network, Preprocessing
from islands.errors import NetworkError

_EXPECTED = (
    "expected a torch.nn.Module with the attributes classes and input_size (and channels, mean, std where "
    "they are not 3, 0, 1), or a Classifier"
)
_CLASSIFIER = ("name", "classes", "channels", "input_size", "fingerprint", "device", "predict")


def load_own(name: str) -> Network | Classifier:
    """Call the user's function and take what it returns.

    Args:
        name: `module:function`, found from the current folder or among installed packages, or
            `file:PATH.py:function`. The function takes no argument. It returns a classifier, or an
            `nn.Module` that gives logits for float32 (B, channels, input_size, input_size) with
            pixels (x - mean) / std of x in [0, 1], and has these attributes:

            - `classes`: the K class names.
            - `input_size`: height and width in pixels.
            - `channels`: 1 or 3 (the default).
            - `mean`, `std`: one number, or one for each channel; 0 and 1 unless given.

    Raises:
        NetworkError: there is no such function, it fails, or what it returns does not fit.
    """
    where, _, function_name = name.rpartition(":")
    module = _from_file(where.removeprefix("file:")) if where.startswith("file:") else _from_module(where)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise NetworkError(
            f"{name}: {where} has no function {function_name!r}; expected one without arguments"
        )
    found = _call(name, function)
    if isinstance(found, nn.Module):
        return describe(name, found)
    if missing := [attribute for attribute in _CLASSIFIER if not hasattr(found, attribute)]:
        raise NetworkError(f"{name}: got {type(found).__name__} without {', '.join(missing)}; {_EXPECTED}")
    classifier: Classifier = found  # type: ignore[assignment]
    return classifier


def describe(name: str, module: nn.Module) -> Network:
    """Read what a module says of itself in its attributes; see `load_own`.

    Raises:
        NetworkError: an attribute is missing or means nothing.
    """
    if missing := [attribute for attribute in ("classes", "input_size") if not hasattr(module, attribute)]:
        raise NetworkError(f"{name}: got {type(module).__name__} without {', '.join(missing)}; {_EXPECTED}")
    channels = getattr(module, "channels", 3)
    classes = tuple(map(str, module.classes))  # type: ignore[arg-type]
    if channels not in (1, 3) or not isinstance(module.input_size, int) or len(set(classes)) < len(classes):
        raise NetworkError(
            f"{name}: got channels {channels!r}, input_size {module.input_size!r} and {len(set(classes))} "
            f"different names for {len(classes)} classes; expected 1 or 3, pixels, and names that differ"
        )
    return Network(
        module,
        classes,
        Preprocessing(
            channels,
            module.input_size,
            mean=_numbers(name, module, "mean", 0.0, channels),
            std=_numbers(name, module, "std", 1.0, channels),
        ),
        batch_size=64,
    )


def _numbers(
    name: str, module: nn.Module, attribute: str, default: float, channels: int
) -> tuple[float, ...]:
    value = getattr(module, attribute, default)
    numbers = tuple(map(float, value)) if isinstance(value, Sequence) else (float(value),)
    if len(numbers) not in (1, channels) or (attribute == "std" and 0.0 in numbers):
        raise NetworkError(f"{name}: got {attribute} {value!r}; expected one number, or {channels}")
    return numbers


def _call(name: str, function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:
        raise NetworkError(
            f"{name}: the function failed with {type(error).__name__}: {str(error).partition(chr(10))[0]}; "
            "call it in Python to see where"
        ) from error


def _from_file(path: str) -> ModuleType:
    file = Path(path)
    spec = importlib.util.spec_from_file_location(f"islands_own_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise NetworkError(f"file:{path}: there is no such Python file; expected a path from {Path.cwd()}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _from_module(where: str) -> ModuleType:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise NetworkError(
            f"{where}: there is no module {error.name!r} in {folder} or among installed packages; run from "
            "the folder that holds it, or name it file:PATH.py:function"
        ) from None
    finally:
        sys.path.remove(folder)
