"""The end of a run time, when others are quicker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import URL

from core.config import JupyterHubOutpost
from core.expiry import expire
from core.lifecycle import Lifecycle
from core.meter import NotCounted
from core.model import Body, Identity, Inputs, NewService, Service, Status
from core.parts import Parts
from infra import schema
from infra.crypto import Sealer
from infra.database import Database
from infra.store import SqlStore
from tests.support.clock import Clock


class Overtaken(SqlStore):
    """Another replica ends each service as soon as this one has looked at it."""

    def load(self, service_id: int) -> Service | None:
        """The row as it was."""
        found = super().load(service_id)
        assert found is None or self.delete(found)
        return found


async def test_a_service_that_another_replica_has_ended_meanwhile_is_no_trouble(tmp_path: Path, caplog: Any) -> None:
    clock, sealer = Clock(), Sealer(Fernet.generate_key().decode())
    database = Database(URL.create("sqlite", database=str(tmp_path / "outpost.sqlite")))
    schema.migrate(database, sealer)
    store: Any = Overtaken(database, sealer, clock)
    row = store.admit(NewService(Identity("hub", "a", "0"), None, Body(), Inputs()))
    store.swap(row, status=Status.RUNNING, end_date=clock() - timedelta(seconds=1))

    unused: Any = None
    parts = Parts(
        store, JupyterHubOutpost, unused, unused, NotCounted(), unused, clock, "this one", timedelta(seconds=30)
    )
    assert await expire(store, Lifecycle(parts).expire, clock) == 1
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert store.expired(clock(), 10) == []
    database.close()
