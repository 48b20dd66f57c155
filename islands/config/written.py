"""What a person writes at a key, by the schema: texts as they are, and paths as a shell understands them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from islands.config.explain import KeyPath, Schema, below, members
from islands.config.layers import Layer, Problem
from islands.errors import ConfigError

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)|\{(?P<braced>[^}]*)\})", re.ASCII)
_IN_NETWORK = re.compile(r"([:,+])")
"""What stands before and after a path in the name of a network."""

Change = Callable[[str, KeyPath], str]


def expanded(layer: Layer, schema: Schema) -> Layer:
    """Return settings with `~`, `$NAME` and `${NAME}` in paths replaced; problems are noted.

    `$$` is a dollar sign. URLs stay as they are, and so do paths that are there as they are written.
    """
    problems: list[Problem] = []

    def change(text: str, path: KeyPath) -> str:
        try:
            return expand_path(text)
        except ConfigError as error:
            problems.append(Problem(layer.origin(path), path, str(error)))
            return text

    values = _changed(layer.values, [schema], schema, change)
    return Layer(layer.source, values, layer.origins, (*layer.problems, *problems))


def unexpanded(settings: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return settings of which `expanded` makes `settings` again."""

    def change(text: str, _: KeyPath) -> str:
        return text if "://" in text else text.replace("$", "$$")

    changed: dict[str, Any] = _changed(settings, [schema], schema, change)
    return changed


def expand_path(text: str) -> str:
    """Return a path with `~`, `$NAME` and `${NAME}` replaced; see `expanded`.

    Raises:
        ConfigError: there is no such variable, or no home directory.
    """
    if "://" in text:
        return text
    user, slash, rest = text.partition("/") if text.startswith("~") else ("", "", text)
    try:
        return f"{_home(user) if user else ''}{slash}{_VARIABLE.sub(_value, rest)}"
    except ConfigError:
        if Path(text).exists():
            return text
        raise


def _home(user: str) -> str:
    try:
        return str(Path(user).expanduser())
    except RuntimeError:
        raise ConfigError(f"{user} is no home directory that is known here; write the path in full") from None


def _value(found: re.Match[str]) -> str:
    if found["dollar"]:
        return "$"
    name = found["plain"] or found["braced"]
    if name not in os.environ:
        raise ConfigError(f"there is no environment variable {name}; set it, or write $$ for a dollar sign")
    return os.environ[name]


def _changed(value: Any, schemas: Sequence[Schema], root: Schema, change: Change, path: KeyPath = ()) -> Any:
    """Return a value with `change` made to paths, and to those in the names of networks."""
    known = [member for schema in schemas for member in members(schema, root)]
    formats = {schema.get("format") for schema in known}
    match value:
        case str() if "path" in formats:
            return change(value, path)
        case str() if "network" in formats:
            return "".join(change(part, path) for part in _IN_NETWORK.split(value))
        case Mapping():
            return {
                key: _changed(item, list(below(known, key)), root, change, (*path, key))
                for key, item in value.items()
            }
        case list():
            items = [schema["items"] for schema in known if "items" in schema]
            return [_changed(item, items, root, change, (*path, number)) for number, item in enumerate(value)]
        case _:
            return value
