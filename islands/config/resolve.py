"""Where configurations come from: files, `--set` and dictionaries, laid over a pipeline's settings.

Every mistake is reported at once, one a line, with the place where it was made. Which pipelines there are,
whoever calls must say: `islands.experiments.configure` does so for ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from islands.config import HeldOut, NetworkConfig, RayConfig, RunConfig, WorkConfig
from islands.config.explain import KeyPath, Schema, did_you_mean, explain, quote_hint, schema_with, show
from islands.config.layers import Layer, Origin, Problem, parse_override, parse_yaml
from islands.config.written import expanded, unexpanded
from islands.encodings.settings import EncodingSettings
from islands.errors import ConfigError
from islands.extensions.sections import Section
from islands.search.presets import PRESETS, settings_of
from islands.texts import decoded

_S = TypeVar("_S", bound=Section)


class Template(Protocol):
    """What a pipeline gives to a configuration."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """As in a configuration file; a file's own settings win."""

    @property
    def parameters(self) -> type[Section] | None:
        """The schema of the section `parameters`; None where there is none."""


Templates = Mapping[str, Template]
"""By the name that the key `pipeline` has."""


def load_run_config(
    templates: Templates, path: str | os.PathLike[str], overrides: Sequence[str] = ()
) -> RunConfig:
    """Read a configuration file.

    Args:
        templates: of the pipelines that it may name.
        path: the file; `-` is standard input.
        overrides: `KEY=VALUE` texts that win over it.

    Raises:
        ConfigError: with a line for each mistake.
    """
    text = _decoded(sys.stdin.buffer.read(), path) if path == "-" else _read_text(Path(path))
    layer = parse_yaml(text, str(path))
    if layer.values is None:
        raise ConfigError(f"{path}: the file is empty; `islands init` writes files to start from")
    if not isinstance(layer.values, Mapping):
        raise ConfigError(f"{path}: expected a mapping of settings, got {show(layer.values)}")
    return _resolve(templates, _own_part(layer), overrides, written=True)


def resolve_run_config(
    templates: Templates,
    settings: Mapping[str, Any],
    source: str = "settings",
    overrides: Sequence[str] = (),
    *,
    written: bool = False,
) -> RunConfig:
    """Lay settings over those of the pipeline that they name.

    Args:
        templates: of the pipelines that they may name.
        settings: as in a configuration file.
        source: what errors call them.
        overrides: `KEY=VALUE` texts that win over them.
        written: whether a person wrote the settings, so that `~` and `$NAME` in paths are replaced.

    Raises:
        ConfigError: with a line for each mistake.
    """
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{source}: expected a mapping of settings, got {show(settings)}")
    return _resolve(templates, Layer(Origin(source), settings), overrides, written=written)


def override_run_config(config: RunConfig, overrides: Sequence[str]) -> RunConfig:
    """Return a complete configuration with `KEY=VALUE` texts laid over it, of keys outside `parameters`.

    Raises:
        ConfigError: with a line for each mistake.
    """
    layer = Layer(Origin("settings"), config.model_dump(mode="json"))
    return _validate(_with_overrides(layer, overrides, schema_with(None)))


def resolve_ray_config(settings: Mapping[str, Any], overrides: Sequence[str]) -> RayConfig:
    """Return the section `ray` alone, with `KEY=VALUE` texts laid over it.

    Raises:
        ConfigError: with a line for each mistake.
    """
    layer = Layer(Origin("settings"), {"ray": settings})
    return _validated(RayConfig, ("ray",), _with_overrides(layer, overrides, schema_with(None)))


def resolve_work_config(templates: Templates, pipeline: str, overrides: Sequence[str]) -> WorkConfig:
    """Return what the workers of a pipeline are told, for what needs no store.

    Args:
        templates: of the pipelines that may be named.
        pipeline: unless an override names another.
        overrides: `KEY=VALUE` texts that win over the pipeline's settings.

    Raises:
        ConfigError: with a line for each mistake.
    """
    layer = Layer(Origin("settings"), {"pipeline": pipeline})
    layer = _with_overrides(layer, overrides, _schema(templates, _named_last(layer, overrides)))
    template = _template(templates, layer.values["pipeline"])
    if template is None:
        raise ConfigError(str(_pipeline_problem(layer, templates)))
    values = {key: value for key, value in layer.values.items() if key != "pipeline"}
    own = Layer(layer.source, values, layer.origins, layer.problems)
    return _validated(WorkConfig, (), _over(template, own))


def as_written(templates: Templates, config: RunConfig) -> dict[str, Any]:
    """Return the settings that `load_run_config` reads as `config` again, wherever `$` is in a path."""
    return unexpanded(config.model_dump(mode="json"), _schema(templates, config.pipeline))


def lay_over(config: RunConfig, settings: Mapping[str, Any], source: str) -> RunConfig:
    """Return a configuration with a pipeline's own settings laid over it.

    Args:
        config: what the settings are laid over.
        settings: as in a configuration file.
        source: what errors call them.

    Raises:
        ConfigError: with a line for each mistake.
    """
    values = config.model_dump(mode="json")
    below, top = Layer(Origin(source), values), Layer(Origin(source), settings)
    encoding, name = values["encoding"], settings.get("encoding", {}).get("name", config.encoding.name)
    if name != config.encoding.name:
        # Of another encoding, only what all have in common; and the preset has other emitters for it.
        common = {key: encoding[key] for key in EncodingSettings.model_fields}
        values = {**values, "encoding": {**common, "name": name}}
        below = Layer(Origin(source), values).below(_preset(values, Origin(source)))
    return _validate(below.below(top))


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


def _schema(templates: Templates, pipeline: object) -> Schema:
    """Return the schema of a configuration, with the parameters of the pipeline of that name."""
    template = _template(templates, pipeline)
    return schema_with(None if template is None else template.parameters)


def _template(templates: Templates, name: object) -> Template | None:
    return templates[name] if isinstance(name, str) and name in templates else None


def _named_last(layer: Layer, overrides: Sequence[str]) -> object:
    """Return the pipeline that is named last."""
    pairs = [text.partition("=") for text in overrides]
    named = [value.strip() for key, _, value in pairs if key.strip() == "pipeline"]
    return named[-1] if named else layer.values.get("pipeline")


def _with_overrides(layer: Layer, overrides: Sequence[str], schema: Schema) -> Layer:
    for text in overrides:
        layer = layer.below(expanded(parse_override(text, schema), schema))
    return layer


def _resolve(templates: Templates, layer: Layer, overrides: Sequence[str], *, written: bool) -> RunConfig:
    schema = _schema(templates, _named_last(layer, overrides))
    layer = _with_overrides(expanded(layer, schema) if written else layer, overrides, schema)
    template = _template(templates, layer.values.get("pipeline"))
    if template is None:
        return _validate(layer, [_pipeline_problem(layer, templates)])
    config = _validate(_over(template, layer))
    _require_parameters(config, template.parameters, layer)
    return config


def _over(template: Template, layer: Layer) -> Layer:
    """Return a layer over the settings of a pipeline, and between them what its preset sets."""
    settings = Layer(layer.source, template.settings)
    return settings.below(_preset(settings.below(layer).values, layer.source)).below(layer)


def _preset(values: Any, source: Origin) -> Layer:
    """Return what the preset that settings name sets; nothing where they are wrong, which is told later."""
    match values:
        case {
            "evolve": {"preset": str(preset)},
            "encoding": {"name": str(encoding)} | EncodingSettings(name=encoding),
        } if preset in PRESETS:
            # What is wrong with an encoding is told where it is read.
            with suppress(ConfigError):
                return Layer(source, settings_of(preset, encoding))
    return Layer(source, {})


def _require_parameters(config: RunConfig, schema: type[Section] | None, layer: Layer) -> None:
    """Check the section `parameters` against the schema of the pipeline."""
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


def _validate(layer: Layer, others: Sequence[Problem] = ()) -> RunConfig:
    """Return the configuration that a layer is; `others` is what is wrong with its pipeline."""
    return _validated(RunConfig, (), layer, others)


def _validated(model: type[_S], key: KeyPath, layer: Layer, others: Sequence[Problem] = ()) -> _S:
    """Return the section that is at a key of a layer."""
    values = layer.values
    for name in key:
        values = values[name]
    problems = [*layer.problems, *others]
    try:
        section = model.model_validate(values)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            details["loc"] = (*key, *details["loc"])
            if not others or not _for_pipeline(details):
                path, message = explain(details)
                problems.append(Problem(layer.origin(path), path, message))
    if problems:
        lines = dict.fromkeys(map(str, sorted(problems, key=lambda problem: problem.order)))
        raise ConfigError("\n".join(lines))
    return section


def _pipeline_problem(layer: Layer, templates: Templates) -> Problem:
    name, known = layer.values.get("pipeline"), tuple(templates)
    near = did_you_mean(name, known) if isinstance(name, str) else ""
    message = f"expected one of {', '.join(map(repr, known))}, got {show(name)}{near}"
    return Problem(layer.origin(("pipeline",)), ("pipeline",), message)


def _for_pipeline(details: ErrorDetails) -> bool:
    """Whether an error is a consequence of the missing pipeline."""
    if details["loc"] == ("pipeline",):
        return True
    return details["type"] in ("missing", "union_tag_not_found") and details["loc"] != ("store",)
