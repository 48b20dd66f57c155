"""What there is of one kind by name: ours, what packages announce, and what references lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from islands.errors import ConfigError, InputError
from islands.extensions import sources
from islands.extensions.foreign import told
from islands.extensions.references import imported, is_reference
from islands.extensions.sources import Sources

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Entry(NamedTuple):
    """What a list shows.

    Attributes:
        name: as files have it.
        summary: the first line of its documentation.
        package: that brings it, with its version; empty: Islands.
    """

    name: str
    summary: str
    package: str


class _Loaded(NamedTuple):
    """What was imported, and its source then."""

    sources: Sources
    found: Any


_loaded: dict[tuple[str, str], _Loaded] = {}
"""By group and name. Imported twice, a class would be two classes."""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """All of one kind.

    Attributes:
        group: packages announce theirs as entry points of `islands.<group>`.
        expected: what one is, for messages.
        accepts: whether something is one.
        built_in: ours, by name.
        raises: the error where there is nothing, or something else.

    Example:
        >>> from islands.encodings.settings import ENCODINGS
        >>> ENCODINGS.get("cppn").__name__
        'CppnSettings'
    """

    group: str
    expected: str
    accepts: Callable[[Any], bool]
    built_in: Mapping[str, T] = field(default_factory=dict)
    raises: type[InputError] = ConfigError

    @property
    def announced(self) -> Mapping[str, EntryPoint]:
        """What installed packages bring, by name; a name of ours stays ours."""
        return {
            name: point
            for name, point in _points(f"islands.{self.group}").items()
            if name not in self.built_in
        }

    def is_own(self, name: str) -> bool:
        """Tell whether a name means somebody else's, whether or not it is there."""
        return name not in self.built_in and (is_reference(name) or name in self.announced)

    def get(self, name: str) -> T:
        """Return what a name means; own code is imported, once in a process.

        Raises:
            InputError: there is nothing of that name, or it is something else, or its import fails. It is of
                the class `raises`.
        """
        if name in self.built_in:
            return self.built_in[name]
        key, source = (self.group, name), self.sources(name)
        if key not in _loaded:
            with self.found(name) as found:
                _loaded[key] = _Loaded(source, found)
        if _loaded[key].sources.fingerprint != source.fingerprint:
            # Python keeps what it has imported: what would run is not what its source says by now.
            raise self.raises(f"{name}: its source has changed since it was imported; start Python anew")
        loaded: T = _loaded[key].found
        return loaded

    @contextmanager
    def found(self, name: str) -> Iterator[T]:
        """Import what somebody else's name means; within the block, modules beside it can be imported."""
        if (point := self.announced.get(name)) is not None:
            with told(f"{name}: its import failed with", "mend or update its package", self.raises):
                found = point.load()
            yield self._accepted(name, found)
        elif is_reference(name):
            with imported(name, self.expected, self.raises) as found:
                yield self._accepted(name, found)
        else:
            raise self.raises(f"got {name!r}; expected one of {', '.join(map(repr, self.names()))}")

    def sources(self, name: str) -> Sources:
        """Return the source of somebody else's code; nothing is run.

        Raises:
            InputError: there is nothing of that name. It is of the class `raises`.
        """
        if (point := self.announced.get(name)) is not None:
            return sources.of_announced(point.module, name, self.raises)
        if is_reference(name):
            return sources.of_reference(name, self.raises)
        raise self.raises(
            f"{name}: no installed package announces it in islands.{self.group}; install the one that does"
        )

    def used(self, name: str) -> Sources:
        """Return the source of what `get` has imported, whatever was written since; else that of now.

        Raises:
            InputError: as `sources`.
        """
        loaded = _loaded.get((self.group, name))
        return self.sources(name) if loaded is None else loaded.sources

    def names(self) -> tuple[str, ...]:
        """Return all names that are not references."""
        return (*self.built_in, *self.announced)

    def entries(self) -> list[Entry]:
        """Return what there is, for a list."""
        ours = [Entry(name, _summary(each), "") for name, each in self.built_in.items()]
        return ours + [self._entry(name, point) for name, point in self.announced.items()]

    def _entry(self, name: str, point: EntryPoint) -> Entry:
        package = "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
        try:
            return Entry(name, _summary(self.get(name)), package)
        except InputError as error:
            # A list shows what is there, whatever is broken in it.
            return Entry(name, f"cannot be used: {error}", package)

    def _accepted(self, name: str, found: Any) -> T:
        if not self.accepts(found):
            got = found.__name__ if isinstance(found, type) else type(found).__name__
            raise self.raises(f"{name}: got {got}; expected {self.expected}")
        accepted: T = found
        return accepted


@cache
def _points(group: str) -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and most files name ours alone

    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def _summary(found: object) -> str:
    lines = (getattr(found, "__doc__", None) or "").strip().splitlines()
    return lines[0] if lines else ""
