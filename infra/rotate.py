"""All that is stored, encrypted anew with the first key, while Outposts work on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Select, select, update

from core.errors import Unreadable
from core.model import Identity
from infra.crypto import Sealer
from infra.database import Database
from infra.tables import services

_BATCH = 50
"""Rows in one transaction: whoever wants one of them waits for its end."""

_SEALED = (services.c.body, services.c.inputs, services.c.state, services.c.start_response)
_READ = select(services.c.id, services.c.jupyterhub_username, services.c.name, services.c.start_id, *_SEALED)


@dataclass
class Rotation:
    """What a rotation found, in rows. ``unreadable`` has a sentence for each row that no key opens."""

    renewed: int = 0
    current: int = 0
    unreadable: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.renewed} rows re-encrypted, {self.current} already with the first key, "
            f"{len(self.unreadable)} unreadable"
        )


def rotate_key(database: Database, sealer: Sealer) -> Rotation:
    """Encrypt every row with the first key. Rows that no key opens are left alone.

    Only what was read is replaced, and ``version`` stays, so neither a swap is overwritten nor disturbed. All
    processes that write must have the same first key already, or what they write meanwhile is left behind.
    """
    rotation, after = Rotation(), 0
    while rows := _read(database, _READ.where(services.c.id > after).order_by(services.c.id).limit(_BATCH)):
        after = rows[-1].id
        while rows:
            changed = _renew(database, sealer, rows, rotation)
            rows = _read(database, _READ.where(services.c.id.in_(changed))) if changed else []
    return rotation


def _read(database: Database, query: Select[Any]) -> list[Row[Any]]:
    with database.read() as db:
        return list(db.execute(query).all())


def _renew(database: Database, sealer: Sealer, rows: list[Row[Any]], rotation: Rotation) -> list[int]:
    """Renew rows; the ids of those that somebody changed meanwhile."""
    work: list[tuple[Row[Any], dict[str, bytes]]] = []
    for row in rows:
        try:
            new = _renewed(row._mapping, sealer)
        except Unreadable as error:
            identity = Identity(row.jupyterhub_username, row.name, row.start_id)
            rotation.unreadable.append(f"service {identity}: {error}")
            continue
        if new:
            work.append((row, new))
        else:
            rotation.current += 1
    if not work:
        return []
    with database.write() as db:
        changed = [row.id for row, new in work if not _replace(db, row._mapping, new)]
    rotation.renewed += len(work) - len(changed)
    return changed


def _renewed(row: RowMapping, sealer: Sealer) -> dict[str, bytes]:
    """The columns that another key than the first had encrypted. Raises ``Unreadable``."""
    sealed = {column.name: row[column.name] for column in _SEALED if row[column.name] or column.name == "body"}
    new = {name: sealer.renew(token) for name, token in sealed.items()}
    return {name: token for name, token in new.items() if token != sealed[name]}


def _replace(db: Connection, row: RowMapping, new: dict[str, bytes]) -> bool:
    """Compare with what was read, and swap."""
    same = [services.c[name] == row[name] for name in new]
    return db.execute(update(services).where(services.c.id == row["id"], *same).values(new)).rowcount == 1
