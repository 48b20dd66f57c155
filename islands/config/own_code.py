"""Somebody else's code in a configuration: what it was when a run began, and how it comes to workers."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from islands.classifiers.catalogue import OWN_NETWORKS, own_parts
from islands.classifiers.hosts import allow_hosts, allowed_hosts
from islands.config import NetworkConfig, WorkConfig
from islands.encodings.settings import ENCODINGS
from islands.errors import ConfigError, InputError, NetworkError
from islands.extensions import references
from islands.extensions.kinds import Registry
from islands.extensions.sources import Sources
from islands.folders import cache_directory
from islands.measures.axes import MEASURES
from islands.migration.migrants import REPLACEMENTS, SELECTIONS
from islands.migration.topologies import TOPOLOGIES
from islands.search.choices import EMITTERS, PARENTS

KINDS: Mapping[str, Registry[Any]] = {
    kind.group: kind
    for kind in (
        ENCODINGS,
        MEASURES,
        EMITTERS,
        PARENTS,
        TOPOLOGIES,
        SELECTIONS,
        REPLACEMENTS,
        OWN_NETWORKS,
    )
}
"""All kinds that results depend on, by their groups."""

TRUST = "ISLANDS_TRUST_CODE"
"""The variable of the environment with which whoever looks at a store lets it name code that is run."""

Fingerprints = Mapping[str, Mapping[str, str]]
"""By group and name."""


class Own(NamedTuple):
    """A name of somebody else's, and of which kind it is."""

    kind: Registry[Any]
    name: str


def own_code(config: WorkConfig) -> list[Own]:
    """Return all that is somebody else's of what decides which images evolve."""
    migration = config.islands.migration
    named: list[tuple[Registry[Any], str]] = [
        (ENCODINGS, config.encoding.name),
        *((MEASURES, measure.name) for measure in config.archive.measures),
        *((EMITTERS, emitter.name) for emitter in config.evolve.emitters),
        (PARENTS, config.evolve.parents.name),
        (TOPOLOGIES, config.islands.topology.name),
        (SELECTIONS, migration.selection.name),
        (REPLACEMENTS, migration.replacement.name),
    ]
    found = [Own(kind, name) for kind, name in named if name not in kind.built_in]
    return [*found, *_networks([config.network])]


def _networks(networks: Iterable[NetworkConfig]) -> Iterator[Own]:
    for network in networks:
        # What is wrong with a name is told where the network is loaded.
        with suppress(NetworkError):
            yield from (Own(OWN_NETWORKS, name) for name in own_parts(network.name))


def fingerprints(code: Iterable[Own]) -> Fingerprints:
    """Return the fingerprints of the sources of code, as it runs here; of what is elsewhere, none.

    A network that only workers load may be on their machines alone.
    """
    found: dict[str, dict[str, str]] = {}
    for kind, name in code:
        if (source := _sources(kind, name)) is not None:
            found.setdefault(kind.group, {})[name] = source.fingerprint
    return found


def _sources(kind: Registry[Any], name: str) -> Sources | None:
    try:
        return kind.used(name)
    except InputError:
        return None


def require_same(stored: Fingerprints, code: Iterable[Own]) -> None:
    """Check that code is still what it was when a run began; nothing of it is run.

    Args:
        stored: what `fingerprints` returned then. Of what is missing here, nothing is known.
        code: of which kinds and names.

    Raises:
        ConfigError: it is not, or is not here.
    """
    for kind, name in code:
        before = stored.get(kind.group, {}).get(name)
        if before is None:
            continue
        try:
            now = kind.sources(name).fingerprint
        except InputError as error:
            raise ConfigError(f"{error}: this run was started with it") from None
        if before != now:
            raise ConfigError(
                f"{kind.group}: the source of {name} has fingerprint {now[:12]}, but the run was started with"
                f" {before[:12]}; restore it, or launch a new run"
            )


def require_trusted(where: object, code: Iterable[Own], *, trust: bool = False) -> None:
    """Check that code that a store names may be run.

    What installed packages announce may: they were installed for that.

    Raises:
        ConfigError: it may not.
    """
    for kind, name in code:
        if references.is_reference(name) and not (trust or os.environ.get(TRUST) == "1"):
            raise ConfigError(
                f"{where} names the code {name!r} ({kind.group}), which would be run; set {TRUST}=1 to allow "
                "it, if you trust the store"
            )


def packed(config: WorkConfig) -> dict[str, Any]:
    """Return what `unpacked` reads in another process, perhaps on another machine.

    Settings, own code, and the hosts where served networks may be asked.
    """
    code = [*own_code(config), *_networks(config.held_out)]
    sources = [(kind.group, name, _sources(kind, name)) for kind, name in code]
    return {
        "settings": config.as_message(),
        "hosts": allowed_hosts(),
        "code": [
            (group, name, source.fingerprint, None if source.is_installed else dict(source.files))
            for group, name, source in sources
            if source is not None
        ],
    }


def unpacked(message: Mapping[str, Any]) -> WorkConfig:
    """Read what `packed` returned; own code is taken from where it is if it is the same here.

    Raises:
        ConfigError: an installed package is not here, or in another version; or code cannot be imported here.
    """
    allow_hosts(message["hosts"])
    for group, name, fingerprint, files in message["code"]:
        if not _is_here(KINDS[group], name, fingerprint):
            if files is None:
                raise ConfigError(
                    f"{group}: {name} is not here, or in another version than where the run was launched; "
                    "install the same package on all nodes"
                )
            folder = cache_directory("code", fingerprint[:16])
            write_files(folder, files)
            references.move(name, folder)
            if not _is_here(KINDS[group], name, fingerprint):
                raise ConfigError(f"{folder} is not what was written there; remove it, and try again")
    try:
        return WorkConfig.model_validate(message["settings"])
    except ValidationError as error:  # what was imported there cannot be imported here
        raise ConfigError("; ".join(details["msg"] for details in error.errors())) from None


def files_of(config: WorkConfig) -> dict[str, str]:
    """Return the files of own code that is not installed, by their paths from the current folder.

    Raises:
        ConfigError: some of it lies elsewhere.
    """
    found: dict[str, str] = {}
    for kind, name in (*own_code(config), *_networks(config.held_out)):
        source, file = _sources(kind, name), references.place_of(name).file
        folder = Path() if file is None else file.parent
        # The cluster has packages of its own, and may share folders with this machine.
        if source is None or source.is_installed or folder.is_absolute():
            continue
        if ".." in folder.parts:
            raise ConfigError(
                f"{kind.group}: {name} lies outside the current folder, and a job's code goes with the job; "
                "name it by a path from here, or set ray.runtime_env.working_dir to a folder that holds it"
            )
        found |= {(folder / path).as_posix(): text for path, text in source.files.items()}
    return found


def _is_here(kind: Registry[Any], name: str, fingerprint: str) -> bool:
    source = _sources(kind, name)
    return source is not None and source.fingerprint == fingerprint


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder that is not there yet, all of them or none."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    for name, text in files.items():
        file = unfinished / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        unfinished.replace(folder)
    except OSError:  # another process was quicker
        shutil.rmtree(unfinished, ignore_errors=True)
        if not folder.is_dir():
            raise
