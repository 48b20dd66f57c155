"""The names of the 1000 ILSVRC classes."""

from __future__ import annotations

from islands.classifiers.torchvision_cpu import import_torchvision


def imagenet_classes() -> tuple[str, ...]:
    """Return the names in the usual order."""
    return tuple(import_torchvision().models._meta._IMAGENET_CATEGORIES)
