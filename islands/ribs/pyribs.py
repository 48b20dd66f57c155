"""What we take of pyribs, where it is installed."""

from __future__ import annotations

from islands.errors import InputError

try:
    from ribs.archives import AddStatus, ArchiveBase, ArchiveStats, ArrayStore
    from ribs.emitters import EmitterBase
except ImportError as error:
    raise InputError(f"pyribs is not installed ({error}); pip install 'islands[ribs]'") from error

__all__ = ["AddStatus", "ArchiveBase", "ArchiveStats", "ArrayStore", "EmitterBase"]
