"""Evolve images that fool deep networks: MAP-Elites islands on Ray, archived in Zarr.

>>> import islands
>>> run = islands.evolve("lenet-mnist", encoding="cppn", generations=50)
>>> run.confidence[0].shape  # of the first run, numpy float32
(10,)
>>> run.image(3).shape  # of class 3, numpy uint8
(28, 28, 1)
>>> run = islands.open("runs/digits")

What `dir(islands)` lists stays as it is documented, or warns for a release before it changes. All else is the
inside of the house, which ARCHITECTURE.md draws.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from islands import errors as errors
    from islands.api import card as card
    from islands.api import evolve as evolve
    from islands.api import export as export
    from islands.api import launch as launch
    from islands.api import open as open  # noqa: A004 - read `islands.open`
    from islands.api import report as report
    from islands.api import resume as resume
    from islands.api import score as score
    from islands.api import transfer as transfer
    from islands.api import verify as verify
    from islands.archipelago.progress import Progress as Progress
    from islands.asking.archipelago import Archipelago as Archipelago
    from islands.asking.archipelago import Asked as Asked
    from islands.classifiers.contract import Classifier as Classifier
    from islands.classifiers.contract import Prediction as Prediction
    from islands.classifiers.hosts import allow_hosts as allow_hosts
    from islands.config.logger_settings import LoggerSettings as LoggerSettings
    from islands.encodings.contract import Encoding as Encoding
    from islands.encodings.settings import EncodingSettings as EncodingSettings
    from islands.experiments.context import Context as Context
    from islands.experiments.pipeline import Pipeline as Pipeline
    from islands.measures.axes import MeasureSettings as MeasureSettings
    from islands.migration.migrants import ReplacementSettings as ReplacementSettings
    from islands.migration.migrants import SelectionSettings as SelectionSettings
    from islands.migration.topologies import TopologySettings as TopologySettings
    from islands.results import Elite as Elite
    from islands.results import Results as Results
    from islands.search.choices import EmitterSettings as EmitterSettings
    from islands.search.choices import ParentsSettings as ParentsSettings

_PLACES = {
    **dict.fromkeys(("card", "evolve", "export", "launch", "open"), "api"),
    **dict.fromkeys(("report", "resume", "score", "transfer", "verify"), "api"),
    "Archipelago": "asking.archipelago",
    "Asked": "asking.archipelago",
    "Classifier": "classifiers.contract",
    "Encoding": "encodings.contract",
    "EncodingSettings": "encodings.settings",
    "EmitterSettings": "search.choices",
    "ParentsSettings": "search.choices",
    "TopologySettings": "migration.topologies",
    "SelectionSettings": "migration.migrants",
    "ReplacementSettings": "migration.migrants",
    "LoggerSettings": "config.logger_settings",
    "MeasureSettings": "measures.axes",
    "Pipeline": "experiments.pipeline",
    "Context": "experiments.context",
    "Elite": "results",
    "Prediction": "classifiers.contract",
    "allow_hosts": "classifiers.hosts",
    "Progress": "archipelago.progress",
    "Results": "results",
}

__all__ = [
    "Archipelago",
    "Asked",
    "Classifier",
    "Context",
    "Elite",
    "EmitterSettings",
    "Encoding",
    "EncodingSettings",
    "LoggerSettings",
    "MeasureSettings",
    "ParentsSettings",
    "Pipeline",
    "Prediction",
    "Progress",
    "ReplacementSettings",
    "Results",
    "SelectionSettings",
    "TopologySettings",
    "__version__",
    "allow_hosts",
    "card",
    "errors",
    "evolve",
    "export",
    "launch",
    "open",
    "report",
    "resume",
    "score",
    "transfer",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Torch and Zarr take seconds to import, and `islands --help` needs neither.
    if name in _PLACES:
        return getattr(import_module(f"islands.{_PLACES[name]}"), name)
    if name in ("errors", "ribs"):
        return import_module(f"islands.{name}")
    if name == "__version__":
        return _version()
    raise AttributeError(f"module 'islands' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("islands")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"
