"""Outposts of a test's own, on each database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import URL

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
def database_url(database: Mapping[str, str]) -> URL:
    """The same database for who looks into it without Outpost."""
    if database["SQL_TYPE"] == "sqlite":
        return URL.create("sqlite", database=database["SQL_DATABASE_URL"])
    host, port, name = database["SQL_HOST"], int(database["SQL_PORT"]), database["SQL_DATABASE"]
    return URL.create("postgresql+pg8000", database["SQL_USER"], "", host, port, name)


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
