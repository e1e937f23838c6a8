"""Outposts of a test's own, on each database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.contract.conftest import config
from tests.support.outpost import OutpostProcess

Make = Callable[..., OutpostProcess]

LEASE_SECONDS = 2


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """The environment that points an Outpost at a new database."""
    if request.param == "sqlite":
        return {"SQL_TYPE": "sqlite", "SQL_DATABASE_URL": str(tmp_path / "outpost.sqlite")}
    made: Mapping[str, str] = request.getfixturevalue("cluster").create_database(f"t{uuid.uuid4().hex}")
    return made


@pytest.fixture
def make(database: Mapping[str, str], tmp_path: Path) -> Iterator[Make]:
    """Make an Outpost on that database; several of them are replicas."""
    made: list[OutpostProcess] = []

    def new(more: str = "") -> OutpostProcess:
        env = {"OUTPOST_LEASE_SECONDS": str(LEASE_SECONDS), **database}
        if made:
            env["OUTPOST_CRYPT_KEY"] = made[0].env["OUTPOST_CRYPT_KEY"]
        made.append(OutpostProcess(tmp_path, config(more), env))
        return made[-1]

    yield new
    for outpost in made:
        outpost.close()
