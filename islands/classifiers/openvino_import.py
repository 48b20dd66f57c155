"""Makes `import openvino` keep to itself.

OpenVINO counts its users: its import alone writes an identifier into the user's home, starts a process and
posts to an analytics service, and so does each conversion. It does without where the package that counts,
`openvino_telemetry`, is not to be found. Where somebody imported it before, its modules are handed the stub
that they would have taken then.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

_COUNTER = "openvino_telemetry"
_COUNTED = ("openvino", "openvino.tools.ovc.convert_impl", "openvino.frontend.pytorch.ts_decoder")
"""What looks for the counter when it is imported, now or at the first conversion."""


@cache
def import_openvino() -> Any:
    """Return the module `openvino`. Nothing else in this package may import it.

    Raises:
        ImportError: it is not installed, or does not load here.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]  # None: not to be found
    aside = {name: module for name, module in modules.items() if name.partition(".")[0] == _COUNTER}
    modules.update(dict.fromkeys({_COUNTER, *aside}))
    try:
        found = [importlib.import_module(name) for name in _COUNTED]
    finally:
        for name in {_COUNTER, *aside}:
            del modules[name]
        modules.update(aside)
    _silence_earlier_imports()
    return found[0]


def _silence_earlier_imports() -> None:
    """Give each module of OpenVINO that holds the counter the stub for it."""
    stub = importlib.import_module("openvino.tools.ovc.telemetry_stub")
    for name in [name for name in sys.modules if name.startswith("openvino.")]:
        held = vars(sys.modules[name])
        if getattr(held.get("tm"), "__name__", None) == _COUNTER:
            held["tm"] = stub
