"""What can be found out of a deployment before anything is started."""

from __future__ import annotations

import ast
from pathlib import Path

from local.aws import deploy
from local.emulator.errors import EmulatorError
from local.template import Deployment, FunctionResource


def check_schedules(deployment: Deployment) -> None:
    """Raises ``TemplateError`` for one that is never due."""
    for function in deployment.functions.values():
        for schedule in function.schedules:
            deploy.expression(schedule)


def check_handlers(deployment: Deployment) -> None:
    """By their source. Raises ``EmulatorError`` for a handler that is not in the code."""
    for function in deployment.functions.values():
        what = f"{function.place}: {function.logical_id}: Handler: {function.handler!r} cannot be imported"
        module, _, name = function.handler.rpartition(".")
        source = _source(function, module)
        if source is None:
            raise EmulatorError(f"{what}: there is no module {module!r} in {function.code}")
        try:
            tree = ast.parse(source.read_bytes(), str(source))
        except (SyntaxError, ValueError) as error:
            raise EmulatorError(f"{what}: {error}") from None
        if name not in _names(tree) and "*" not in _names(tree):
            raise EmulatorError(f"{what}: {source} has no {name!r}")


def _source(function: FunctionResource, module: str) -> Path | None:
    path = function.code.joinpath(*module.replace("/", ".").split("."))
    found = [each for each in (path.with_suffix(".py"), path / "__init__.py") if each.is_file()]
    return found[0] if found else None


def _names(tree: ast.Module) -> set[str]:
    """What a module defines at its top, in conditions too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Name(ctx=ast.Store()):
                names.add(node.id)
    return names
