"""YAML read together with the place of each key, so that a mistake can be shown where it was made."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from islands.config.explain import KeyPath, Schema, show, types_at
from islands.errors import ConfigError


class Origin(NamedTuple):
    """Where a setting was written; line 0 stands for no line."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


class Problem(NamedTuple):
    """One mistake; problems sort by where they were made, those of files first."""

    origin: Origin
    path: KeyPath
    message: str

    def __str__(self) -> str:
        where = ".".join(map(str, self.path))
        return _one_line(": ".join(filter(None, (str(self.origin), where, self.message))))

    @property
    def order(self) -> tuple[bool, int, int]:
        """The sort key."""
        return not self.origin.line, self.origin.line, self.origin.column


@dataclass(frozen=True)
class Layer:
    """The settings of one source, and where they were written."""

    source: Origin
    values: Any
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def below(self, top: Layer) -> Layer:
        """Return these settings with those of `top` over them."""
        return Layer(
            self.source,
            _merge(self.values, top.values),
            {**self.origins, **top.origins},
            self.problems + top.problems,
        )

    def at(self, *path: str | int) -> Layer:
        """Return the part under a key as a layer of its own."""
        values = self.values
        for key in path:
            values = values[key]
        depth = len(path)
        origins = {key[depth:]: origin for key, origin in self.origins.items() if key[:depth] == path}
        return Layer(origins.pop(()), values, origins, self.problems)

    def origin(self, path: KeyPath) -> Origin:
        """Return where a key was written, or else the nearest section around it."""
        for end in range(len(path), 0, -1):
            if found := self.origins.get(path[:end]):
                return found
        return self.source


def parse_yaml(text: str, source: str) -> Layer:
    """Read a YAML document; the layer's values may be of any type, None for an empty document.

    Raises:
        ConfigError: not YAML. Duplicate and non-text keys are not raised but noted among the problems.
    """
    reader = _Reader(lambda mark: Origin(source, mark.line + 1, mark.column + 1))
    values = reader.read(text, source)
    return Layer(Origin(source), values, reader.origins, tuple(reader.problems))


def parse_override(text: str, schema: Schema) -> Layer:
    """Read `a.b=value`, where the value is YAML, or text as it is where the schema has text.

    Text may be in quotes; `null`, or nothing, is null where that may be.

    Raises:
        ConfigError: no key, no `=`, or a value that is not YAML.
    """
    source = Origin(_one_line(f"--set {text}"))
    dotted, equals, value = text.partition("=")
    path = tuple(dotted.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(f"{source}: expected KEY=VALUE, such as islands.count=2")
    reader = _Reader(lambda _: source)
    types = types_at(path, schema)
    if "string" in types and types <= {"string", "null"}:
        values: Any = None if "null" in types and value.strip() in ("", "null") else _unquoted(value.strip())
    else:
        values = reader.read(value, str(source), path)
    for end in range(1, len(path) + 1):
        reader.origins[path[:end]] = source
    for key in reversed(path):
        values = {key: values}
    return Layer(source, values, reader.origins, tuple(reader.problems))


def _unquoted(text: str) -> str:
    if text[:1] not in ("'", '"') or text[-1:] != text[:1]:
        return text
    try:
        return str(yaml.safe_load(text))
    except yaml.YAMLError:
        return text


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _merge(below: Any, top: Any) -> Any:
    if not isinstance(below, Mapping):
        return top
    if top is None:
        return below
    if not isinstance(top, Mapping):
        return top
    return {**below, **{key: _merge(below.get(key), value) for key, value in top.items()}}


class _Loader(yaml.SafeLoader):
    """Plain data only. YAML 1.1 takes 1e3 for text: here it is a number, as in YAML 1.2."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases are not read; write the value out", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$", re.ASCII), list("-+0123456789")
)


class _Reader:
    """Turns YAML nodes into values, noting origins and problems."""

    def __init__(self, locate: Callable[[yaml.Mark], Origin]) -> None:
        self.origins: dict[KeyPath, Origin] = {}
        self.problems: list[Problem] = []
        self._locate = locate

    def read(self, text: str, source: str, path: KeyPath = ()) -> Any:
        try:
            self._loader = _Loader(text)
            node = self._loader.get_single_node()
            return None if node is None else self._value(node, path)
        except yaml.MarkedYAMLError as error:
            where = self._locate(error.problem_mark) if error.problem_mark else source
            raise ConfigError(f"{where}: not valid YAML: {error.problem or error.context}") from error
        except yaml.reader.ReaderError as error:
            raise ConfigError(f"{source}: not a text file: {error.reason}") from error
        except RecursionError as error:
            raise ConfigError(f"{source}: nested too deeply") from error

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path)
            case yaml.SequenceNode():
                return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            origin = self._locate(key_node.start_mark)
            if key_node.tag != "tag:yaml.org,2002:str":
                self.problems.append(Problem(origin, path, f"expected a key, got {show(key_node.value)}"))
                continue
            key = str(key_node.value)
            if key in values:
                self.problems.append(Problem(origin, (*path, key), "this key is here twice"))
                continue
            self.origins[(*path, key)] = origin
            values[key] = self._value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            return self._loader.construct_object(node)
        # What PyYAML raises for `!!int x`, `!!bool x` and `!!timestamp x`, and for unknown tags.
        except (ValueError, LookupError, AttributeError, yaml.constructor.ConstructorError):
            origin = self._locate(node.start_mark)
            self.problems.append(Problem(origin, path, f"cannot read {show(node.value)} as a value"))
            return None
