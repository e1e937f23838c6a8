"""Services that are already there: written in bulk into a candidate's database, past its API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from unittest.mock import patch

from sqlalchemy import func, insert, select

from bench.candidates import HUB
from core.model import Body, Status
from infra.crypto import Sealer
from infra.database import Database
from infra.schema import migrate
from infra.settings import read_settings
from infra.tables import hubs, services
from infra.wiring import utc_now

ENV = {"JUPYTERHUB_USER": "alice", "JUPYTERHUB_USER_ID": "1", "JUPYTERHUB_API_TOKEN": "0123456789abcdef" * 2}
_AT_ONCE = 1000


@contextmanager
def _database(env: Mapping[str, str]) -> Iterator[tuple[Database, Sealer]]:
    with patch.dict(os.environ, env):
        settings = read_settings()
    database = Database(settings.database_url)
    try:
        yield database, Sealer(settings.crypt_key.get_secret_value())
    finally:
        database.close()


def preload(env: Mapping[str, str], number: int, prefix: str, ends: timedelta) -> None:
    """So many running services named ``<prefix><n>``, which can be polled and which end after that time."""
    with _database(env) as (database, sealer):
        migrate(database, sealer)
        now = utc_now()
        row = {
            "jupyterhub_username": HUB,
            "jupyterhub_user_id": "1",
            "flavor": "small",
            "status": Status.RUNNING,
            "start_date": now,
            "last_update": now,
            "end_date": now + ends,
            "body": sealer.seal(asdict(Body(env=ENV, user_options={"flavor": "small"}))),
            "start_response": sealer.seal({"service": "http://127.0.0.1:1"}),
        }
        with database.write() as db:
            if db.scalar(select(hubs.c.name).where(hubs.c.name == HUB)) is None:
                db.execute(insert(hubs).values(name=HUB))
            for first in range(0, number, _AT_ONCE):
                names = range(first, min(number, first + _AT_ONCE))
                db.execute(insert(services), [row | {"name": f"{prefix}{n}"} for n in names])


def expired_left(env: Mapping[str, str], prefix: str, now: datetime) -> int:
    """How many of those services are still there although their time is over."""
    with _database(env) as (database, _), database.read() as db:
        query = select(func.count()).where(services.c.name.startswith(prefix), services.c.end_date <= now)
        return db.scalar(query) or 0
