"""A page of all that a configuration may say, written from its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator

from islands.config.described import keys_of
from islands.config.explain import Schema, describe, members

_HEAD = """# Configuration

Every key of a configuration file, as `islands config reference` writes it; `islands config explain KEY` says
the same of a single key. What a file leaves out, its pipeline gives, and then the defaults below hold.
"""


def reference(root: Schema) -> str:
    """Return the page, in Markdown.

    Args:
        root: as `described` returns it.
    """
    return _HEAD + "".join(_section("", root, root))


def _section(path: str, schema: Schema, root: Schema) -> Iterator[str]:
    """Yield what there is to say of a section and then of those within it."""
    if choice := _choice(schema, root):
        for name, member in choice.items():
            yield from _table(f"`{path}`, with `name: {name}`", member, root)
        return
    keys = keys_of(schema, root)
    yield from _table(f"`{path}`" if path else "The file", schema, root)
    for key, value in keys.items():
        if _choice(value, root) or keys_of(value, root):
            yield from _section(f"{path}.{key}".lstrip("."), value, root)


def _choice(schema: Schema, root: Schema) -> dict[str, Schema]:
    """Return what a choice may be, by name; nothing where it is none."""
    holders = [*members(schema, root), *members(schema.get("items", {}), root)]
    for each in holders:
        if mapping := each.get("discriminator", {}).get("mapping"):
            return {name: root["$defs"][place.rpartition("/")[2]] for name, place in mapping.items()}
    return {}


def _table(heading: str, schema: Schema, root: Schema) -> Iterator[str]:
    yield f"\n## {heading}\n\n"
    if text := schema.get("description"):
        yield f"{' '.join(text.split())}\n\n"
    yield "| key | what it is | expected | default |\n|---|---|---|---|\n"
    for key, value in keys_of(schema, root).items():
        within = bool(_choice(value, root) or keys_of(value, root))
        expected = "see below" if within else describe(value)
        default = f"`{json.dumps(value['default'])}`" if "default" in value and not within else ""
        cells = (f"`{key}`", value.get("description", ""), expected, default)
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"
