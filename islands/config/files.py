"""Where configurations come from: files, `--set` and dictionaries, laid over a pipeline's settings.

Every mistake is reported at once, one a line, with the place where it was made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from islands import pipelines
from islands.config import HeldOut, NetworkConfig, RunConfig
from islands.config.explain import Schema, did_you_mean, explain, quote_hint, schema_with, show
from islands.config.layers import Layer, Origin, Problem, parse_override, parse_yaml
from islands.config.written import expanded, unexpanded
from islands.encodings.settings import EncodingSettings
from islands.errors import ConfigError
from islands.texts import decoded


def load_run_config(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration file, `-` for standard input; `overrides` are `KEY=VALUE` texts that win over it.

    Raises:
        ConfigError: with a line for each mistake.
    """
    text = _decoded(sys.stdin.buffer.read(), path) if path == "-" else _read_text(Path(path))
    layer = parse_yaml(text, str(path))
    if layer.values is None:
        raise ConfigError(f"{path}: the file is empty; `islands init` writes files to start from")
    if not isinstance(layer.values, Mapping):
        raise ConfigError(f"{path}: expected a mapping of settings, got {show(layer.values)}")
    return _resolve(_own_part(layer), overrides, written=True)


def resolve_run_config(
    settings: Mapping[str, Any],
    source: str = "settings",
    overrides: Sequence[str] = (),
    *,
    written: bool = False,
) -> RunConfig:
    """Lay settings over those of the pipeline that they name.

    Args:
        settings: as in a configuration file.
        source: what errors call them.
        overrides: `KEY=VALUE` texts that win over them.
        written: whether a person wrote the settings, so that `~` and `$NAME` in paths are replaced.

    Raises:
        ConfigError: with a line for each mistake.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{source}: expected a mapping of settings, got {show(settings)}")
    return _resolve(Layer(Origin(source), settings), overrides, written=written)


def override_run_config(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Return a complete configuration with `KEY=VALUE` texts laid over it.

    Raises:
        ConfigError: with a line for each mistake.
    """
    layer = Layer(Origin("settings"), config.model_dump(mode="json"))
    return _validate(_with_overrides(layer, overrides, _schema(layer, overrides)))


def as_written(config: RunConfig) -> dict[str, Any]:
    """Return the settings that `load_run_config` reads as `config` again, wherever `$` is in a path."""
    settings = config.model_dump(mode="json")
    return unexpanded(settings, _schema(Layer(Origin("settings"), settings), ()))


def variants_of(config: RunConfig) -> dict[str, RunConfig]:
    """Return the runs side by side that the pipeline is made of, by name; empty where it is a single run."""
    if config.pipeline not in pipelines.names():
        return {}
    values = config.model_dump(mode="json")
    variants = {}
    for name, settings in pipelines.get(config.pipeline).variants.items():
        below = {**values, "encoding": _encoding_below(values["encoding"], settings.get("encoding", {}))}
        top = {
            **settings,
            "parameters": {},
            "store": str(Path(config.store) / name),
            "held_out": [*settings.get("held_out", ()), *values["held_out"]],
        }
        source = f"pipeline {config.pipeline}, variant {name}"
        variants[name] = _validate(Layer(Origin(source), below).below(Layer(Origin(source), top)))
    return variants


def _encoding_below(encoding: Mapping[str, Any], top: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a variant's encoding is laid over: of another encoding only what all have in common."""
    if top.get("name", encoding["name"]) == encoding["name"]:
        return encoding
    return {name: encoding[name] for name in EncodingSettings.model_fields}


def read_networks(texts: Sequence[str]) -> list[NetworkConfig]:
    """Read networks as `--network` gives them: a name, or a mapping such as `{name: …, view: standard}`.

    Raises:
        ConfigError: with a line for each mistake.
    """
    values = [_network(text) for text in texts]
    try:
        return TypeAdapter(list[HeldOut]).validate_python(values)
    except ValidationError as error:
        lines = []
        for details in error.errors(include_url=False):
            details["loc"] = ("held_out", *details["loc"])
            (_, place, *keys), message = explain(details)
            key = Problem(Origin(f"--network {texts[int(place)]}"), tuple(keys), message)
            lines.append(str(key))
        raise ConfigError("\n".join(lines)) from None


def _network(text: str) -> Any:
    key = "network" if text.lstrip().startswith("{") else "network.name"
    schema = schema_with(None)
    layer = expanded(parse_override(f"{key}={text}", schema), schema)
    if layer.problems:
        raise ConfigError("\n".join(f"--network {text}: {problem.message}" for problem in layer.problems))
    return layer.values["network"]


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        near = get_close_matches(path.stem, [file.stem for file in path.parent.glob(f"*{path.suffix}")], 1)
        hint = (
            f"did you mean '{path.with_stem(near[0])}'?"
            if near
            else "`islands init` writes files to start from"
        )
        raise ConfigError(f"{path}: no such file; {hint}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: expected a YAML file, got a folder") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    return _decoded(data, path)


def _decoded(data: bytes, path: str | os.PathLike[str]) -> str:
    try:
        return decoded(data)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: expected a YAML file, got something that is not UTF-8 text") from None


def _own_part(layer: Layer) -> Layer:
    """Return our settings within a file; files of Ray and Kubernetes are easily mistaken for ours."""
    file, values = layer.source, layer.values
    if str(values.get("kind")).startswith("Ray"):
        raise ConfigError(
            f"{file}: this is a Kubernetes manifest; create it with `kubectl apply -f {file}`, then launch a"
            " file of Islands with `ray: {address: HOST:6379}` in it"
        )
    if not {"cluster_name", "provider"} <= values.keys():
        return layer
    metadata = values.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("islands"), Mapping):
        return layer.at("metadata", "islands")
    raise ConfigError(
        f"{file}: this file is for Ray's cluster launcher; start the cluster with `ray up {file}`, then"
        " launch a file of Islands with `ray: {address: auto}` in it, or put its settings under"
        " `metadata: {islands: {...}}`"
    )


def _schema(layer: Layer, overrides: Sequence[str]) -> Schema:
    """Return the schema of a configuration, with the parameters of the pipeline that is named last."""
    pairs = [text.partition("=") for text in overrides]
    named = [value.strip() for key, _, value in pairs if key.strip() == "pipeline"]
    name = named[-1] if named else layer.values.get("pipeline")
    return schema_with(pipelines.get(name).parameters if name in pipelines.names() else None)


def _with_overrides(layer: Layer, overrides: Sequence[str], schema: Schema) -> Layer:
    for text in overrides:
        layer = layer.below(expanded(parse_override(text, schema), schema))
    return layer


def _resolve(layer: Layer, overrides: Sequence[str], *, written: bool) -> RunConfig:
    schema = _schema(layer, overrides)
    layer = _with_overrides(expanded(layer, schema) if written else layer, overrides, schema)
    pipeline = _pipeline_layer(layer)
    config = _validate(pipeline.below(layer) if pipeline else layer, has_pipeline=pipeline is not None)
    _require_parameters(config, layer)
    return config


def _require_parameters(config: RunConfig, layer: Layer) -> None:
    """Check the section `parameters` against the schema of the pipeline."""
    schema = pipelines.get(config.pipeline).parameters
    if schema is None:
        if config.parameters:
            key = ("parameters",)
            message = f"the pipeline {config.pipeline} takes none; remove the section"
            raise ConfigError(str(Problem(layer.origin(key), key, message)))
        return
    try:
        schema.model_validate(config.parameters)
    except ValidationError as error:
        lines = []
        for details in error.errors(include_url=False):
            path = ("parameters", *details["loc"])
            known = f"; known keys: {', '.join(schema.model_fields)}"
            unknown = f"unknown key{did_you_mean(str(path[-1]), schema.model_fields) or known}"
            got = f"got {show(details['input'])}{quote_hint(details)}"
            expected = f"{details['msg'][0].lower()}{details['msg'][1:]}, {got}"
            message = unknown if details["type"] == "extra_forbidden" else expected
            lines.append(str(Problem(layer.origin(path), path, message)))
        raise ConfigError("\n".join(lines)) from None


def _validate(layer: Layer, *, has_pipeline: bool = True) -> RunConfig:
    problems = list(layer.problems)
    if not has_pipeline:
        problems.append(_pipeline_problem(layer))
    try:
        config = RunConfig.model_validate(layer.values)
    except ValidationError as error:
        problems += _problems(error, layer, has_pipeline=has_pipeline)
    if problems:
        lines = dict.fromkeys(map(str, sorted(problems, key=lambda problem: problem.order)))
        raise ConfigError("\n".join(lines))
    return config


def _pipeline_layer(layer: Layer) -> Layer | None:
    name = layer.values.get("pipeline")
    if name not in pipelines.names():
        return None
    return Layer(layer.source, pipelines.get(name).settings)


def _pipeline_problem(layer: Layer) -> Problem:
    name, known = layer.values.get("pipeline"), pipelines.names()
    near = did_you_mean(name, known) if isinstance(name, str) else ""
    message = f"expected one of {', '.join(map(repr, known))}, got {show(name)}{near}"
    return Problem(layer.origin(("pipeline",)), ("pipeline",), message)


def _problems(error: ValidationError, layer: Layer, *, has_pipeline: bool) -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        if has_pipeline or not _for_pipeline(details):
            path, message = explain(details)
            yield Problem(layer.origin(path), path, message)


def _for_pipeline(details: ErrorDetails) -> bool:
    """Whether an error is a consequence of the missing pipeline."""
    if details["loc"] == ("pipeline",):
        return True
    return details["type"] in ("missing", "union_tag_not_found") and details["loc"] != ("store",)
