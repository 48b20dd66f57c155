"""What every key of a configuration means: the sentences that stand below the keys in the code.

Read when somebody asks. Pydantic would read them whenever a command starts.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from itertools import pairwise
from types import ModuleType
from typing import Any

import yaml
from pydantic import BaseModel

from islands import config
from islands.config import logger_settings
from islands.config.explain import Schema, below, members, schema_with
from islands.encodings import settings
from islands.extensions.sections import Section
from islands.measures import axes
from islands.migration import migrants, topologies
from islands.search import choices

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_WIDTH = 100


def described(parameters: type[Section] | None = None) -> Schema:
    """Return the JSON schema of a complete configuration, with a description of every key.

    Args:
        parameters: what the section `parameters` holds; None: anything.
    """
    root = deepcopy(dict(schema_with(parameters)))
    modules = [
        config,
        settings,
        choices,
        axes,
        topologies,
        migrants,
        logger_settings,
        *([sys.modules[parameters.__module__]] if parameters else []),
    ]
    classes = {name: each for module in modules for name, each in _sections(module)}
    own = root["properties"]["parameters"]
    for schema in (root, own, *root["$defs"].values()):
        for key, value in schema.get("properties", {}).items():
            if text := _text_of(classes[schema["title"]], key) or _of_section(value, root):
                value["description"] = text
    return root


def of_files(parameters: type[Section] | None = None) -> Schema:
    """Return the schema of a configuration file, for editors: what it leaves out, its pipeline gives."""
    root = {**_partial(described(parameters)), "$schema": DIALECT, "title": "A configuration of Islands"}
    return {**root, "required": ["pipeline", "store"]}


def described_keys(root: Schema, path: Sequence[str]) -> list[Schema]:
    """Return what there may be at a key, each with its description; lists are looked into.

    Several where sections differ, as those of the encodings do; none where there is no such key.
    """
    found = [root]
    for step in path:
        sections = [member for schema in found for member in _inside(schema, root)]
        found = [each for schema in sections for each in below([schema], step)]
    return [schema for number, schema in enumerate(found) if schema not in found[:number]]


def keys_of(schema: Schema, root: Schema) -> dict[str, Schema]:
    """Return the keys of a section; none of what is no section."""
    return {
        key: value for member in _inside(schema, root) for key, value in member.get("properties", {}).items()
    }


def known_keys(root: Schema, schema: Schema | None = None, prefix: str = "") -> Iterator[str]:
    """Yield all keys, such as `islands.lag`, each section before what it holds."""
    for key, value in keys_of(root if schema is None else schema, root).items():
        yield prefix + key
        yield from known_keys(root, value, f"{prefix}{key}.")


def commented(values: Mapping[str, Any], root: Schema) -> str:
    """Return a complete configuration as YAML, with what each key means above it."""
    return "\n".join(_lines(values, [root], root, "")) + "\n"


def _lines(values: Mapping[str, Any], schemas: Sequence[Schema], root: Schema, indent: str) -> Iterator[str]:
    sections = [member for schema in schemas for member in members(schema, root)]
    # Of the encodings, the one that has all these keys.
    sections = [each for each in sections if values.keys() <= each.get("properties", {}).keys()] or sections
    for key, value in _name_first(values).items():
        under = [each["properties"][key] for each in sections if key in each.get("properties", {})]
        if not indent:
            yield ""
        if text := next((schema["description"] for schema in under if "description" in schema), None):
            for line in textwrap.wrap(text, _WIDTH - len(indent)):
                yield f"{indent}# {line}"
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_yaml(key)}:"
            yield from _lines(value, under, root, indent + "  ")
        else:
            yield textwrap.indent(_yaml({key: value}), indent)


def _name_first(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items(), key=lambda pair: pair[0] != "name"))


def _yaml(value: Any) -> str:
    """Return a value, or a mapping of one key to what is no section, on as few lines as can be read."""
    dump = partial(yaml.safe_dump, sort_keys=False, allow_unicode=True, width=10**6)
    match value:
        case Mapping() if value:
            ((key, held),) = value.items()
            if isinstance(held, list) and held:
                items = [_name_first(item) if isinstance(item, Mapping) else item for item in held]
                return str(dump({key: items}, default_flow_style=None)).rstrip()
            return f"{_yaml(key)}: {_yaml(held)}"
        case _:
            return str(dump(value, default_flow_style=True)).removesuffix("...\n").rstrip()


def _inside(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Yield the sections that a value may be, or that the items of a list may be."""
    for member in members(schema, root):
        yield member
        if "items" in member:
            yield from _inside(member["items"], root)


def _partial(schema: Any) -> Any:
    """Return a schema that is also content with a part of each section."""
    match schema:
        case list():
            return [_partial(each) for each in schema]
        case dict():
            kept = {key: _partial(value) for key, value in schema.items() if key != "required"}
            # Without `name`, settings fit several encodings.
            if "oneOf" in kept:
                kept["anyOf"] = kept.pop("oneOf")
            if "choice" in kept:
                kept["anyOf"] = [*kept["anyOf"], _of_others([*schema["discriminator"]["mapping"]])]
            # The name of a held-out network stands for the network; and a section may be left empty.
            if kept.get("format") == "network" and "$ref" in kept:
                return {"anyOf": [{"type": "string"}, {"$ref": kept.pop("$ref")}], **kept}
            if kept.get("type") == "object" and "properties" in kept:
                kept["type"] = ["object", "null"]
            return kept
        case _:
            return schema


def _of_others(ours: list[str]) -> Schema:
    """Return the schema of settings of which only their own model knows more than the name."""
    return {"type": "object", "properties": {"name": {"not": {"enum": ours}}}, "required": ["name"]}


def _of_section(schema: Schema, root: Schema) -> str | None:
    """Return what the section is that a key holds."""
    name = schema.get("$ref", "").rpartition("/")[2]
    text = root["$defs"].get(name, {}).get("description")
    return None if text is None else " ".join(text.split())


def _sections(module: ModuleType) -> Iterable[tuple[str, type[BaseModel]]]:
    for name, value in vars(module).items():
        if inspect.isclass(value) and issubclass(value, BaseModel):
            yield name, value


def _text_of(section: type[BaseModel], key: str) -> str | None:
    """Return what stands below a key, in the class that has it."""
    found = (_texts(each.__module__).get(each.__name__, {}).get(key) for each in section.__mro__)
    return next((text for text in found if text), None)


@cache
def _texts(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the sentences of a module, by class and key."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):  # built in
        return {}
    return {node.name: dict(_below_keys(node)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def _below_keys(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, after in pairwise(node.body):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=key)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield key, " ".join(text.split())
