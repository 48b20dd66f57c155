"""What settings are made of: sections of a file, and choices among what there is of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from islands.errors import InputError
from islands.extensions.kinds import Registry

NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(ge=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
PathName = Annotated[Name, Field(json_schema_extra={"format": "path"})]
"""A path, in which `~` and `$NAME` are replaced where a person wrote it: see `islands.config.written`."""


class Section(BaseModel):
    """A section of the file: unknown keys and wrong types are refused, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, values: object) -> object:
        # YAML reads a section as null when every key in it is commented out.
        return {} if values is None else values


AS_STORED = {"as_stored": True}
"""The context in which pydantic leaves somebody else's settings as they are: their code is not imported."""


class Kept:
    """Marks settings of somebody else's class that are kept as a store has them, without the class."""


@dataclass(frozen=True)
class Choice:
    """Annotates a field that is one of a kind: the key `name` says which, the others are its own settings.

    Args:
        registry: of settings, which are classes of pydantic.
        base: what all of them derive from.
        by_name: whether a name alone stands for the settings of that name.
    """

    registry: Registry[Any]
    base: type[BaseModel]
    by_name: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        ours = [*self.registry.built_in.values()]
        union: Any = reduce(or_, ours) if ours else source
        if len(ours) > 1:
            union = Annotated[union, Field(discriminator="name")]
        return core_schema.with_info_wrap_validator_function(
            self._read,
            handler.generate_schema(union),
            serialization=core_schema.plain_serializer_function_ser_schema(self._written, info_arg=True),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = {**handler(schema), "choice": self.registry.group, "by_name": self.by_name}
        if not self.by_name:
            return found
        return {"anyOf": [{"type": "string", "examples": [*self.registry.built_in]}, found]}

    def _read(self, value: Any, handler: Callable[[Any], Any], info: core_schema.ValidationInfo) -> Any:
        if isinstance(value, self.base):
            return value
        if self.by_name and isinstance(value, str):
            value = {"name": value}
        name = value.get("name") if isinstance(value, Mapping) else None
        if not isinstance(name, str) or name in self.registry.built_in:
            return handler(value)
        if (info.context or {}).get("as_stored"):
            return kept_as(self.base).model_validate(value, context=info.context)
        if not self.registry.is_own(name):
            return handler(value)
        try:
            own = self.registry.get(name)
        except InputError as error:
            raise ValueError(str(error)) from error
        return own.model_validate(value)

    def _written(self, value: BaseModel, info: core_schema.SerializationInfo) -> Any:
        settings = value.model_dump(mode=info.mode)
        return settings["name"] if self.by_name and set(settings) == {"name"} else settings


@cache
def kept_as(base: type[BaseModel]) -> type[BaseModel]:
    """Return a class for settings whose own class, derived from `base`, is not to be imported."""
    body = {"model_config": ConfigDict(extra="allow"), "__module__": __name__, "__doc__": Kept.__doc__}
    return type(f"Kept{base.__name__}", (Kept, base), body)


def own_settings(expected: type[BaseModel]) -> Callable[[Any], bool]:
    """Return what tells whether something is a class of settings that derives from `expected`."""
    return lambda found: isinstance(found, type) and issubclass(found, expected)
