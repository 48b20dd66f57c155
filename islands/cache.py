"""Where what was fetched or trained once is kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_directory() -> Path:
    """Return the folder: `ISLANDS_CACHE`, or the user's cache directory."""
    return Path(os.environ.get("ISLANDS_CACHE") or platformdirs.user_cache_dir("islands"))
