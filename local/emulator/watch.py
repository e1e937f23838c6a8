"""Notices that files have changed: by looking, which for a few hundred files costs milliseconds."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import cache_from_source
from pathlib import Path

from local.template import Deployment, FunctionResource

_CODE = ("core", "handlers", "infra")
"""What the Makefile packages, and what is configured beside it."""
_FILES = ("outpost_config.py", "flavors.yaml", "credits.yaml")
_MODULES = "*.py"
"""The modules of a folder, without those of the folders in it."""
_ENDINGS = (".py", ".ini", ".mako", ".yaml", ".json")

Seen = dict[str, tuple[int, int]]


def watched(
    template: Path, deployment: Deployment, environment: Callable[[FunctionResource], Mapping[str, str]]
) -> set[Path]:
    """The files and folders that a deployment is made of; ``FOLDER/*.py`` are modules.

    ``environment`` is what a function finds: the files that it names are watched, and the modules beside a
    configuration file, which may import them.
    """
    paths = {template.absolute()}
    for function in deployment.functions.values():
        package = function.handler.partition(".")[0]
        paths |= {function.code / name for name in (*_CODE, *_FILES, package, _MODULES)}
        files = {function.code / value for value in environment(function).values() if value.endswith(_ENDINGS)}
        paths |= files | {file.with_name(_MODULES) for file in files if file.suffix == ".py"}
    return paths


class Watch:
    """Folders of code, ``FOLDER/*.py`` and single files, which need not exist."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """What is there now is not new."""
        self._paths = sorted({str(path) for path in paths})
        self._seen = self._look()

    def changed(self) -> list[str]:
        """The files that are new, gone or other than at the last call."""
        before, self._seen = self._seen, self._look()
        return sorted(path for path in before.keys() | self._seen.keys() if before.get(path) != self._seen.get(path))

    def _look(self) -> Seen:
        return dict(_files(self._paths))


def forget_compiled(paths: Iterable[str]) -> None:
    """Python would take a module for unchanged that was changed twice in one second, and has the same size."""
    for path in paths:
        if path.endswith(".py"):
            Path(cache_from_source(path)).unlink(missing_ok=True)


def _files(paths: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in paths:
        folder, last = os.path.split(path)
        if last == _MODULES:
            yield from _found(glob.glob(os.path.join(glob.escape(folder), last)))
        elif os.path.isdir(path):
            for folder, _, names in os.walk(path):
                yield from _found(os.path.join(folder, name) for name in names if name.endswith(_ENDINGS))
        else:
            yield from _found([path])


def _found(paths: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    for path in paths:
        try:
            state = os.stat(path)
        except OSError:
            continue
        yield path, (state.st_mtime_ns, state.st_size)
