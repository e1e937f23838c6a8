"""What a look for expired services costs among few and among many: ``python -m bench.expiry``."""

from __future__ import annotations

import tempfile
import time
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from sqlalchemy import URL, insert

from infra.crypto import Sealer
from infra.database import Database
from infra.schema import migrate
from infra.store import SqlStore
from infra.tables import hubs, services
from infra.wiring import utc_now

EXPIRED = 10
LOOKS = 200


def milliseconds(running: int) -> float:
    """One look on SQLite, among so many running services of which ten have expired."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(URL.create("sqlite", database=str(Path(folder) / "bench.sqlite")))
        sealer = Sealer(Fernet.generate_key().decode())
        migrate(database, sealer)
        now, hour = utc_now(), timedelta(hours=1)
        row = {"jupyterhub_username": "hub", "status": "running", "body": b"", "start_date": now, "last_update": now}
        ends = [now - hour] * EXPIRED + [now + hour] * (running - EXPIRED)
        with database.write() as db:
            db.execute(insert(hubs).values(name="hub"))
            db.execute(insert(services), [row | {"name": str(n), "end_date": end} for n, end in enumerate(ends)])
        store = SqlStore(database, sealer, utc_now)
        began = time.perf_counter()
        for _ in range(LOOKS):
            assert len(store.expired(now, 200)) == EXPIRED
        spent = time.perf_counter() - began
        database.close()
    return 1000 * spent / LOOKS


if __name__ == "__main__":
    for number in (EXPIRED, 1_000, 100_000):
        print(f"{number} services running, {EXPIRED} expired: {milliseconds(number):.2f} ms")
