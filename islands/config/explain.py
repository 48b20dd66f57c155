"""What the configuration schema expects at a key, in words; used to explain mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic_core import ErrorDetails

from islands.config import RunConfig
from islands.extensions.references import USAGE
from islands.extensions.sections import Section

KeyPath = tuple[str | int, ...]
Schema = Mapping[str, Any]

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_OF_OTHERS: Schema = {"description": "somebody else's settings, which their own model describes"}
_TYPES = {"string": "text", "boolean": "true or false", "array": "a list", "null": "null"}


def explain(error: ErrorDetails) -> tuple[KeyPath, str]:
    """Return the key that a pydantic error is about, and what is wrong with it."""
    loc = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            parent, schema = _locate(loc[:-1])
            return (*parent, loc[-1]), f"unknown key{_similar_key(str(loc[-1]), schema)}"
        case "missing":
            path, _ = _locate(loc)
            return path, "this key is required"
        case "value_error":
            path, _ = _locate(loc)
            return path, str(error["ctx"]["error"])
        case "union_tag_invalid" | "union_tag_not_found":
            path, schema = _locate(loc)
            tag = schema["discriminator"]["propertyName"]
            where = path if schema.get("by_name") else (*path, tag)
            return where, _expected(_names(schema), error["input"].get(tag))
        case _:
            path, schema = _locate(loc)
            if schema is _OF_OTHERS:
                said = f"{error['msg'][0].lower()}{error['msg'][1:]}"
                return path, f"{said}, got {show(error['input'])}{quote_hint(error)}"
            return path, f"{_expected(schema, error['input'])}{quote_hint(error)}"


def schema_with(parameters: type[Section] | None) -> Schema:
    """Return the JSON schema of a configuration whose section `parameters` is the pipeline's."""
    root = _root()
    if parameters is None:
        return root
    own = parameters.model_json_schema()
    return {
        **root,
        "properties": {**root["properties"], "parameters": own},
        "$defs": {**root["$defs"], **own.get("$defs", {})},
    }


def members(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Return a schema and all that it may be instead: what it refers to, and the members of a union."""
    yield schema
    if "$ref" in schema:
        yield from members(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for member in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from members(member, root)


def below(schemas: Iterable[Schema], key: str) -> Iterator[Schema]:
    """Return what `members` have at a key."""
    for schema in schemas:
        others = schema.get("additionalProperties")
        if found := schema.get("properties", {}).get(key, others if isinstance(others, Mapping) else None):
            yield found


def types_at(path: Iterable[str], root: Schema) -> set[str]:
    """Return the JSON types that a key may have; none where there is no such key, or it may be anything."""
    found = list(members(root, root))
    for step in path:
        found = [member for schema in below(found, step) for member in members(schema, root)]
    return {schema["type"] for schema in found if "type" in schema}


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return the end of a sentence that names the option nearest to `word`; empty where none is near."""
    near = get_close_matches(word, list(options), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def quote_hint(error: ErrorDetails) -> str:
    """Return the end of a sentence for what YAML takes for a number, a date or a truth value."""
    scalar = isinstance(error["input"], int | float | date)
    return "; put it in quotes" if error["type"] == "string_type" and scalar else ""


def show(value: object) -> str:
    """Return a value as the user wrote it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, date):
        return str(value)
    if isinstance(value, Mapping):
        return "a mapping"
    text = json.dumps(value, default=str, skipkeys=True, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _expected(schema: Schema, got: object) -> str:
    near = did_you_mean(got, schema.get("enum", ())) if isinstance(got, str) else ""
    # Who has mistyped a name means none of others.
    shown = {**schema, "others": ()} if near else schema
    return f"expected {describe(shown)}, got {show(got)}{near}"


def describe(schema: Schema) -> str:
    """Return what a schema expects, in words."""
    schema = _resolve(schema)
    if "discriminator" in schema:
        members = " or ".join(map(repr, schema["discriminator"]["mapping"]))
        return f"a mapping with {schema['discriminator']['propertyName']} {members}"
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(describe, branches)))
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join([*map(repr, schema["enum"]), *schema.get("others", ())])
    match schema.get("type"):
        case "integer":
            return f"an integer{_bounds(schema)}"
        case "number":
            return f"a number{_bounds(schema)}"
        case "string" if "minLength" in schema:
            return "text that is not empty"
        case "object" if "properties" not in schema:
            return "a mapping"
        case "object":
            return f"a mapping with keys among {', '.join(schema['properties'])}"
        case kind:
            return _TYPES.get(str(kind), "something else")


def _names(schema: Schema) -> Schema:
    """Return what a choice takes for a name."""
    others = [f"what `islands {schema['choice']}` lists", USAGE] if "choice" in schema else []
    return {"enum": list(schema["discriminator"]["mapping"]), "others": others}


def _bounds(schema: Schema) -> str:
    parts = [f"{words} {schema[key]}" for key, words in _BOUNDS.items() if key in schema]
    if not parts:
        return ""
    return f"{' of' if parts[0].startswith('at') else ''} {' and '.join(parts)}"


@cache
def _root() -> dict[str, Any]:
    return RunConfig.model_json_schema()


def _resolve(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = _root()["$defs"][schema["$ref"].rpartition("/")[2]]
    # A choice that a name alone may make, see `islands.extensions.sections`.
    return next((each for each in schema.get("anyOf", ()) if "choice" in each), schema)


def _locate(loc: KeyPath) -> tuple[KeyPath, Schema]:
    """Return the key path of a pydantic location, less the names of union members, and its schema."""
    path: list[str | int] = []
    schema: Schema = _root()
    for step in loc:
        members = schema.get("discriminator", {}).get("mapping", {})
        children = schema.get("properties", {})
        if step in members:
            schema = _resolve({"$ref": members[step]})
        elif step in children:
            path.append(step)
            schema = _resolve(children[step])
        elif isinstance(step, int):
            path.append(step)
            schema = _resolve(schema.get("items", {}))
        elif "choice" in schema or schema is _OF_OTHERS:
            path.append(step)
            schema = _OF_OTHERS
    return tuple(path), schema


def _similar_key(key: str, schema: Schema) -> str:
    if "choice" in schema or schema is _OF_OTHERS:
        return ""
    siblings = list(schema.get("properties", ()))
    if near := did_you_mean(key, siblings):
        return near
    elsewhere = [path for path in _all_keys(_root()) if path.rpartition(".")[2] == key]
    if elsewhere:
        return f"; did you mean {elsewhere[0]!r}?"
    return f"; known keys: {', '.join(siblings)}"


def _all_keys(schema: Schema, prefix: str = "") -> Iterator[str]:
    schema = _resolve(schema)
    for member in schema.get("oneOf", ()):
        yield from _all_keys(member, prefix)
    for key, child in schema.get("properties", {}).items():
        yield prefix + key
        yield from _all_keys(child, f"{prefix}{key}.")
