"""Makes `import torchvision` work where it was built for CUDA and torch was not.

The packaged torchvision links to CUDA libraries; beside a CPU build of torch its extension does not load, and
the import fails because the operator `torchvision::nms` is missing. Declaring the two operators that the
import looks up is enough for models, transforms and class names; `torchvision.io` and `torchvision.ops` stay
out of use. This file can go when torchvision's import survives an extension that does not load.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def import_torchvision() -> Any:
    """Return the module `torchvision`, with `torchvision.models` imported."""
    _declare_missing_operators()
    import torchvision.models

    return torchvision


@cache
def _declare_missing_operators() -> torch.library.Library | None:
    """Return the library that holds the declarations, which last as long as it does."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    for extension in Path(found.origin).parent.glob("_C*.so"):
        try:
            # Where it loads, torchvision brings the operators itself.
            torch.ops.load_library(str(extension))
            return None
        except OSError:
            continue
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library
