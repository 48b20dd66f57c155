"""The source of somebody else's code: what it consists of, and a fingerprint of that. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from islands.errors import InputError
from islands.extensions.foreign import is_installed
from islands.extensions.importing import importable
from islands.extensions.references import Place, place_of


@dataclass(frozen=True)
class Sources:
    """The files that a piece of code consists of.

    Attributes:
        files: their text by their path within the folder that holds them.
        is_installed: whether they belong to an installed package.
    """

    files: Mapping[str, str]
    is_installed: bool

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 over names and texts; line ends of other systems count as ours."""
        total = sha256()
        for name, text in sorted(self.files.items()):
            total.update(f"{name}\0{len(text)}\0{text}".encode(errors="surrogateescape"))
        return total.hexdigest()


def of_reference(reference: str, raises: type[InputError]) -> Sources:
    """Return the sources of what a reference leads to.

    Of a file, or of a module in a folder of the user's, these are the file and all that it imports from that
    folder, directly or not; of an installed package, all of its files.

    Args:
        reference: see `islands.extensions.references`.
        raises: the error where there is no such code.
    """
    place = place_of(reference)
    if place.file is not None:
        if not place.file.is_file():
            raise raises(f"{reference}: there is no such Python file; expected a path from {Path.cwd()}")
        return Sources(_with_imports(place.folder.resolve(), place.file.resolve()), is_installed=False)
    with importable(place.folder, place.shown):
        return _of_module(place, reference, raises)


def of_announced(module: str, name: str, raises: type[InputError]) -> Sources:
    """Return all files of the package whose entry point `name` leads into `module`."""
    package = _package(module.partition(".")[0])
    if package is None:
        raise raises(f"{name}: its package announces {module}, which is not there; install it again")
    return _of_package(package)


def _of_module(place: Place, reference: str, raises: type[InputError]) -> Sources:
    top, *inner = place.module.split(".")
    package = _package(top)
    if package is None:
        raise raises(
            f"{reference}: there is no module {top!r} in {place.folder} or among installed packages; run "
            "from the folder that holds it, or name it file:PATH.py:NAME"
        )
    if is_installed(package):
        return _of_package(package)
    stem = package.parent.joinpath(top, *inner)
    candidates = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
    start = next((file for file in candidates if file.is_file()), None)
    if start is None:
        raise raises(f"{reference}: there is no such module in {package}")
    return Sources(_with_imports(package.parent, start), is_installed=False)


def _package(top: str) -> Path | None:
    """Return the folder of a package or the file of a module that can be imported; nothing is run."""
    try:
        spec = find_spec(top)
    except ValueError:  # `__main__` has none
        return None
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return Path(places[0]).resolve() if places else None


def _of_package(package: Path) -> Sources:
    """Return all files of a package, which is a folder or a single file."""
    files = sorted(package.rglob("*.py")) if package.is_dir() else [package]
    texts = {file.relative_to(package.parent).as_posix(): _text(file) for file in files}
    return Sources(texts, is_installed=True)


def _with_imports(folder: Path, start: Path) -> dict[str, str]:
    """Return a file and all that it imports from its folder, directly or not, by their paths there."""
    found: dict[str, str] = {}
    pending = [start]
    while pending:
        file = pending.pop()
        name = file.relative_to(folder).as_posix()
        if name not in found:
            found[name] = _text(file)
            parts = file.relative_to(folder).parent.parts
            for module in (".".join(parts), *_imports(found[name], parts)):
                pending += _files(folder, module)
    return found


def _imports(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the dotted names that a module may import, and more: a `from` may name no module."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # told when it is imported
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package[: len(package) - level + 1] if level else ()
                base = ".".join([*above, *([module] if module else [])])
                yield base
                yield from (f"{base}.{alias.name}".lstrip(".") for alias in names)


def _files(folder: Path, module: str) -> Iterator[Path]:
    """Yield the files in a folder that the import of a module runs."""
    place = folder
    for step in filter(None, module.split(".")):
        place = place / step
        yield from (file for file in (place.with_name(f"{step}.py"), place / "__init__.py") if file.is_file())


def _text(file: Path) -> str:
    # Bytes that are no UTF-8 are told when the file is imported.
    return file.read_text(encoding="utf-8", errors="surrogateescape")
