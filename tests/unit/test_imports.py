"""Who only lists or pings does not pay for what he does not use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.outpost import ROOT

EXPENSIVE = {"jupyterhub", "kubespawner", "alembic", "boto3", "botocore", "outpostspawner"}


def imported_by(*modules: str) -> set[str]:
    """The top-level packages that a new interpreter has after importing these."""
    script = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_the_api_starts_without_spawners_migrations_and_clouds() -> None:
    assert not imported_by("handlers.api", "infra.wiring") & EXPENSIVE


def test_flavors_and_quotas_need_no_database() -> None:
    assert not imported_by("core.flavors", "core.quota") & (EXPENSIVE | {"sqlalchemy", "fastapi"})


@pytest.mark.parametrize("module", ["core.recover", "core.expiry", "core.notify"])
def test_scheduled_work_needs_no_spawner(module: str) -> None:
    assert not imported_by(module) & (EXPENSIVE | {"sqlalchemy", "fastapi"})
