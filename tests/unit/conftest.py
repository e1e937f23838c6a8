"""What unit tests share."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import URL


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where a database is that has nothing in it; the test runs on each kind."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "outpost.sqlite"))
    cluster = request.getfixturevalue("cluster")
    env: Mapping[str, str] = cluster.create_database(f"t{uuid.uuid4().hex}")
    return URL.create("postgresql+pg8000", "outpost", "", "127.0.0.1", cluster.port, env["SQL_DATABASE"])
