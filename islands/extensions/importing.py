"""Imports the user's modules: from their folder, whatever is called the same elsewhere."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from islands.extensions.foreign import is_installed


@contextmanager
def importable(folder: Path, program: str) -> Iterator[None]:
    """Let the modules in a folder be imported within the block, before all that are not imported yet.

    Modules that were imported from another folder and have the name of one in this folder are set aside
    meanwhile, unless they are installed. Afterwards `sys.path` is what it was, and no module of the folder
    stands where an installed one of its name would be found, or one that was set aside.

    Args:
        folder: of the user's.
        program: what `sys.argv` says meanwhile: the arguments of this process are none of the user's code.
    """
    folder = folder.resolve()
    aside = {name: module for name, module in sys.modules.items() if _is_in_the_way(_top(name), folder)}
    for name in aside:
        del sys.modules[name]
    modules, path, arguments = set(sys.modules), [*sys.path], sys.argv
    # Finders remember folders, and may not know a file that was written a moment ago.
    importlib.invalidate_caches()
    sys.modules.update({package.__name__: package for package in _outranked_packages(folder)})
    sys.path.insert(0, str(folder))
    sys.argv = [program]
    try:
        yield
    finally:
        sys.path[:], sys.argv = path, arguments
        new = sys.modules.keys() - modules
        taken = {_top(name) for name in aside} | {name for name in map(_top, new) if _hides_another(name)}
        for name in new:
            if _top(name) in taken:
                del sys.modules[name]
        sys.modules.update(aside)


def module_of_file(file: Path) -> ModuleType:
    """Import a file, under a name of its own.

    Raises:
        FileNotFoundError: there is no such Python file.
    """
    # Files of one name in different folders are different modules.
    digest = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]
    spec = importlib.util.spec_from_file_location(f"islands_own_{file.stem}_{digest}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    module = importlib.util.module_from_spec(spec)
    # Before it runs: dataclasses and pickle look up there the module that a class is of.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _outranked_packages(folder: Path) -> Iterator[ModuleType]:
    """Yield the folder's packages without `__init__.py` that Python ranks behind others on `sys.path`.

    What is installed keeps its rank: the folder may be one of data.
    """
    for child in folder.iterdir() if folder.is_dir() else ():
        if child.name == "islands" or not child.is_dir() or (child / "__init__.py").is_file():
            continue
        spec = PathFinder.find_spec(child.name) if child.name.isidentifier() else None
        if spec is None or spec.origin is None or is_installed(Path(spec.origin)):
            continue
        if Path(spec.origin).parent != child and any(child.glob("*.py")):
            own = ModuleSpec(child.name, None, is_package=True)
            own.submodule_search_locations = [str(child)]
            yield importlib.util.module_from_spec(own)


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_in_the_way(name: str, folder: Path) -> bool:
    """Tell whether a module of this name was imported from elsewhere, though the folder has one."""
    if name in ("islands", "__main__") or not ((folder / f"{name}.py").is_file() or (folder / name).is_dir()):
        return False
    place = _place(sys.modules.get(name))
    return (
        place is not None and not is_installed(place) and place not in (folder / f"{name}.py", folder / name)
    )


def _hides_another(name: str) -> bool:
    """Tell whether an import that starts anew would find another module than the one there is."""
    place = _place(sys.modules.get(name))
    if place is None or is_installed(place):
        return False
    spec = PathFinder.find_spec(name)
    return spec is not None and spec.origin is not None and _without_init(Path(spec.origin)) != place


def _place(module: ModuleType | None) -> Path | None:
    """Return the file of a module, or the folder of a package."""
    if file := getattr(module, "__file__", None):
        return _without_init(Path(file))
    places = [*getattr(module, "__path__", [])]
    return Path(places[0]).resolve() if places else None


def _without_init(file: Path) -> Path:
    return file.resolve().parent if file.stem == "__init__" else file.resolve()
