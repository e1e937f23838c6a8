"""Databases as the Outpost before this one made them, filled with its rows."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from cryptography.fernet import Fernet
from sqlalchemy import URL, create_engine, text

Generation = Literal["1.0", "2"]

NO_END = "9999-12-31 23:59:59.999999"

_SERVICE = """
CREATE TABLE service (
    id {serial} PRIMARY KEY,
    name VARCHAR,
    start_id VARCHAR DEFAULT '0',
    jupyterhub_username VARCHAR NOT NULL REFERENCES jupyterhub (name),
    {user_id}
    last_update {moment},
    start_date {moment},
    end_date {moment},
    state_stored BOOLEAN,
    start_pending BOOLEAN,
    stop_pending BOOLEAN,
    body {blob},
    state {blob},
    start_response {blob},
    flavor VARCHAR {flavor}
)
"""
_TYPES = {
    "sqlite": {"serial": "INTEGER", "moment": "DATETIME", "blob": "BLOB"},
    "postgresql": {"serial": "SERIAL", "moment": "TIMESTAMP WITH TIME ZONE", "blob": "BYTEA"},
}


class UpstreamDatabase:
    """An old database of generation ``1.0`` or ``2`` with a key of its own, made by hand where it is new."""

    def __init__(self, url: URL, generation: Generation = "2") -> None:
        self.key = Fernet.generate_key().decode()
        self.generation = generation
        self._engine = create_engine(url)
        user_id = "jupyterhub_user_id INTEGER DEFAULT 0," if generation == "2" else ""
        flavor = "" if generation == "2" else "DEFAULT '_undefined'"
        types = _TYPES[url.get_backend_name()]
        with self._engine.begin() as db:
            db.execute(text("CREATE TABLE jupyterhub (name VARCHAR PRIMARY KEY)"))
            db.execute(text(_SERVICE.format(user_id=user_id, flavor=flavor, **types)))

    def __enter__(self) -> UpstreamDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def seal(self, value: Any, key: str = "") -> bytes:
        """The bytes that are stored for a value."""
        return Fernet(key or self.key).encrypt(json.dumps(value).encode())

    def add(self, name: str, hub: str = "hub1", **columns: Any) -> int:
        """Insert a service that runs, but for what ``columns`` say; its id.

        ``body``, ``state`` and ``start_response`` are sealed unless they are bytes.
        """
        user_id = columns.pop("user_id", 7)
        row: dict[str, Any] = {
            "name": name,
            "jupyterhub_username": hub,
            "start_date": "2026-01-02 03:04:05.000006",
            "last_update": "2026-01-02 03:05:00.000000",
            "end_date": NO_END,
            "state_stored": True,
            "start_pending": False,
            "stop_pending": False,
            "body": {"env": {"JUPYTERHUB_USER_ID": str(user_id)}, "misc": {}, "user_options": {}},
            "state": {},
            "start_response": {},
            **({"jupyterhub_user_id": user_id} if self.generation == "2" else {}),
            **columns,
        }
        for column in ("body", "state", "start_response"):
            if not isinstance(row[column], bytes | None):
                row[column] = self.seal(row[column])
        return self._insert(hub, row)

    def _insert(self, hub: str, row: dict[str, Any]) -> int:
        if self._engine.dialect.name == "postgresql":  # a naive moment is UTC there too
            row = {k: f"{v}+00" if k in ("start_date", "last_update", "end_date") and v else v for k, v in row.items()}
        names = ", ".join(row)
        values = ", ".join(f":{name}" for name in row)
        with self._engine.begin() as db:
            known = db.scalar(text("SELECT 1 FROM jupyterhub WHERE name = :name"), {"name": hub})
            if not known:
                db.execute(text("INSERT INTO jupyterhub VALUES (:name)"), {"name": hub})
            inserted = db.scalar(text(f"INSERT INTO service ({names}) VALUES ({values}) RETURNING id"), row)
        assert isinstance(inserted, int)
        return inserted

    def execute(self, statement: str) -> None:
        """Change it by hand."""
        with self._engine.begin() as db:
            db.execute(text(statement))

    def rows(self) -> list[dict[str, Any]]:
        """All services as they are stored now, whoever made the table; moments as text."""
        with self._engine.connect() as db:
            found = db.execute(text("SELECT * FROM service ORDER BY id")).mappings()
            return [{k: str(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in found]


class Server:
    """A process that the old Outpost has started for a service; the folder's tests find it by its mark."""

    def __init__(self, folder: Path) -> None:
        env = {"PATH": "/usr/bin:/bin", "ZOO_FOLDER": str(folder)}
        self._process = subprocess.Popen(["sleep", "600"], env=env)
        self.state = {"pid": self._process.pid}

    @property
    def runs(self) -> bool:
        """Is it there?"""
        return self._process.poll() is None

    def end(self) -> None:
        """Take it away, if nobody did."""
        self._process.kill()
        self._process.wait(10)
