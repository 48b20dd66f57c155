"""What an experiment is: data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pipeline:
    """An experiment: settings that a configuration file completes and may override."""

    name: str
    summary: str
    paper: str
    """The section and figure of Nguyen, Yosinski and Clune (CVPR 2015)."""
    settings: Mapping[str, Any]
    """As in a configuration file; a file's own settings win."""
    stages: tuple[str, ...] = ("evolve",)
    """What is done, in order."""
