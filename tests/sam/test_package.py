"""What ``sam build`` makes of the tree fits Lambda, and nothing is in it that no function needs."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.sam import sam

pytestmark = pytest.mark.sam

MIB = 1024 * 1024
MACHINES = {"DependenciesX86": 62, "DependenciesArm64": 183}
"""ELF's numbers."""


def test_sam_and_cfn_lint_find_nothing_in_the_template(home: Path) -> None:
    sam.run([str(sam.program()), "validate", "--lint"], home)
    sam.run([str(sam.cfn_lint()), "--non-zero-exit-code", "informational", "template.yaml"], home)


@pytest.mark.parametrize("layer", MACHINES)
def test_a_function_and_its_layer_stay_below_what_lambda_takes(built: Path, layer: str) -> None:
    size = sum(path.stat().st_size for part in (layer, "ApiFunction") for path in _files(built / part))
    assert size < 200 * MIB, f"{size / MIB:.0f} MiB; Lambda's limit is 250"


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_is_for_its_machine(built: Path, layer: str) -> None:
    libraries = list((built / layer).rglob("*.so"))
    assert libraries
    for library in libraries:
        with library.open("rb") as file:
            (machine,) = struct.unpack_from("<H", file.read(20), 18)
        assert machine == MACHINES[layer], library


@pytest.mark.parametrize("layer", MACHINES)
def test_a_layer_has_kubespawner_and_no_web_pages_programs_or_tests(built: Path, layer: str) -> None:
    packages = built / layer / "python"
    assert {path.name for path in (built / layer).iterdir()} == {"python"}
    assert {"kubespawner", "jupyterhub", "boto3", "mangum"} <= {path.name for path in packages.iterdir()}
    unwanted = {"share", "bin", "etc", "uvicorn", "pytest", "moto", "awscrt", "jupyterlab"}
    assert not unwanted & {path.name for path in packages.iterdir()}
    assert not [path for path in packages.rglob("*") if path.is_dir() and path.name in ("test", "tests")]


def test_functions_are_the_three_rooms_and_nothing_else(built: Path) -> None:
    for function in _functions(built):
        assert {path.name for path in function.iterdir()} == {"core", "handlers", "infra"}
        of_tree = {path.relative_to(sam.ROOT) for room in ("core", "handlers", "infra") for path in _code(room)}
        assert {path.relative_to(function) for path in _files(function) if path.suffix != ".pyc"} == of_tree


@pytest.mark.parametrize(("part", "flags"), [("ApiFunction", 0b11), (sam.LAYER, 0b01)])
def test_every_module_is_compiled_whatever_time_lambda_gives_its_file(built: Path, part: str, flags: int) -> None:
    """Flags as PEP 552 has them: 1 is compared by content or never, 3 by content."""
    for source in (built / part).rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.exists(), source
        assert struct.unpack("<I", compiled.read_bytes()[4:8]) == (flags,), compiled


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _functions(built: Path) -> list[Path]:
    found = sorted(built.glob("*Function"))
    assert len(found) == 6
    return found


def _code(room: str) -> list[Path]:
    return [path for path in _files(sam.ROOT / room) if path.suffix != ".pyc"]
