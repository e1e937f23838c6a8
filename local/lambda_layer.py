"""The dependencies of Outpost's functions as a Lambda layer: installed for Lambda's machine, pruned and compiled.

``sam build`` comes here through the Makefile: ``python -m local.lambda_layer x86_64 FOLDER [MORE PACKAGES]``.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = (3, 11)
"""What template.yaml's ``Runtime`` runs; compiled files are good for this version only."""

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Wheels' names for Lambda's architectures."""

# Lambda's Python 3.11 has glibc 2.26, older than the machine that builds.
_PLATFORMS = ("manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010")

_NOT_IN_FUNCTIONS = {"uvicorn"}
"""Dependencies of the long-lived server alone."""

# JupyterHub's pages (share), programs, and what is only there for developers.
_TOP_LEVEL = ("bin", "share", "etc", "*.md", "LICENSE", "pyproject.toml", "*-stubs")
_ANYWHERE = ("test", "tests", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "py.typed", "RECORD")


class LayerError(Exception):
    """Why there is no layer, in one sentence."""


def requirements() -> list[str]:
    """What pyproject.toml says the functions need, KubeSpawner among it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["kubernetes"]]
    return [line for line in wanted if line.split(">")[0] not in _NOT_IN_FUNCTIONS]


def build(architecture: str, folder: Path, more: list[str]) -> None:
    """Make ``folder/python`` what Lambda puts on ``sys.path``. Raises ``LayerError``."""
    if sys.version_info[:2] != PYTHON:
        version = ".".join(map(str, PYTHON))
        raise LayerError(f"the functions run on Python {version}, which must build them: set PYTHON=python{version}")
    if architecture not in MACHINES:
        raise LayerError(f"architecture: {architecture!r} is none of {', '.join(MACHINES)}")
    packages = folder / "python"
    _install(MACHINES[architecture], packages, more)
    _prune(packages)
    if not _compile(packages):
        raise LayerError("not everything could be compiled")


def _install(machine: str, packages: Path, more: list[str]) -> None:
    platforms = [f"--platform={name}_{machine}" for name in _PLATFORMS]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON[0]}.{PYTHON[1]}", *platforms),
        *("--target", str(packages), "--constraint", str(ROOT / "constraints.txt")),
        *requirements(),
        *more,
    ]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise LayerError("pip could not install the functions' packages; its own message stands above")


def _compile(packages: Path) -> bool:
    """Lambda sets the files' times anew, so a compiled file must not be compared with its source's time."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    return compileall.compile_dir(
        packages, quiet=1, workers=0, invalidation_mode=unchecked, stripdir=str(packages), prependdir="/opt/python"
    )


def _prune(packages: Path) -> None:
    doomed = [path for pattern in _TOP_LEVEL for path in packages.glob(pattern)]
    doomed += [path for pattern in _ANYWHERE for path in packages.rglob(pattern)]
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        build(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
    except LayerError as error:
        sys.exit(str(error))
