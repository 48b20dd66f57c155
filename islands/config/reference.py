"""A page of all that a configuration may say, written from its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from islands.config.described import keys_of
from islands.config.explain import Schema, describe, members

_HEAD = """# Configuration

Every key of a configuration file, as `islands config reference` writes it; `islands config explain KEY` says
the same of a single key. What a file leaves out, its pipeline gives, and then the defaults below hold.
"""


_EXAMPLES: Mapping[str, Any] = {
    "pipeline": "imagenet_cppn",
    "store": "runs/second",
    "name": "svm-mnist",
    "weights": "weights/mine.pt",
    "sha256": "57934424",
    "description": "digits.json",
    "queries_per_second": 20,
    "budget": 100_000,
    "size": 64,
    "batch_size": 50,
    "screen_margin": 0.25,
    "low": 0.1,
    "max_nodes": 100,
    "activations": ["sine", "gaussian"],
    "initial": 400,
    "children": 400,
    "generations": 400,
    "generations_per_epoch": 20,
    "pairs": [[0, 1], [1, 0]],
    "resources": {"accelerator_type:A100": 0.001},
    "address": "auto",
    "runtime_env": {"working_dir": "."},
    "journal": "runs/log.jsonl",
    "tensorboard": "runs/board",
    "folder": "runs/board",
    "mlflow": "sqlite:///mlflow.db",
    "tracking_uri": "sqlite:///mlflow.db",
    "wandb": "my-project",
    "project": "my-project",
    "parameters": {},
}
"""By key: what a schema does not tell."""


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
    yield "| key | what it is | expected | default | example |\n|---|---|---|---|---|\n"
    for key, value in keys_of(schema, root).items():
        within = bool(_choice(value, root) or keys_of(value, root))
        expected = "see below" if within else describe(value)
        default = f"`{json.dumps(value['default'])}`" if "default" in value and not within else ""
        shown = "" if within else f"`{written(key, example(key, value, root))}`"
        cells = (f"`{key}`", value.get("description", ""), expected, default, shown)
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n"


def example(key: str, schema: Schema, root: Schema) -> Any:
    """Return a value that a key may have, and by default has not, if there is one."""
    kinds = [each for each in members(schema, root) if each.get("type") != "null"]
    default = schema.get("default")
    for kind in kinds:
        if "const" in kind:
            return kind["const"]
        if "enum" in kind:
            return next(each for each in kind["enum"] if each != default)
    if key in _EXAMPLES:
        return _EXAMPLES[key]
    kind = next(each for each in kinds if each.get("type") in ("boolean", "integer", "number"))
    if kind["type"] == "boolean":
        return not default
    if kind["type"] == "integer":
        more = 1 if default is None else default + 1 if default < 10 else 2 * default
        return min(max(kind.get("minimum", 0), more), kind.get("maximum", more))
    return 0.5 * default if default else 0.5


def written(key: str, value: object) -> str:
    """Return a key with its value, as a line of a file."""
    text, *_ = yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()
    return f"{key}: {text}"
