"""The database of the Outpost that was in the field before this one (1.0.x and 2.x), converted in place.

The migration that made revision 0001 is the one converted to, so that later ones need not know of this.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError

from core.errors import ConfigError
from core.faults import fault_point
from core.model import Identity
from infra.crypto import Sealer
from infra.tables import UtcDateTime
from infra.upstream_rows import Converter, identity_of

log = logging.getLogger(__name__)

_BATCH = 500
_LOCK_SECONDS = 8
"""Below the connection's own time-out, so that PostgreSQL is the one who says what is wrong."""

_LOCK_TIMEOUT = "55P03"
_NOT_ALLOWED = ("2B", "42")
"""Classes of SQLSTATE: something else hangs on a table, or this user may not."""

_COLUMNS = frozenset(
    {
        "id", "name", "start_id", "jupyterhub_username", "flavor", "last_update", "start_date", "end_date",
        "start_pending", "stop_pending", "body", "state", "start_response",
    }
)  # fmt: skip
"""What both generations have and the conversion reads."""

_SET_ASIDE = (
    "CREATE TABLE upstream_service AS SELECT * FROM service",
    "CREATE TABLE upstream_jupyterhub AS SELECT * FROM jupyterhub",
    "CREATE UNIQUE INDEX upstream_service_id ON upstream_service (id)",
    "DROP TABLE service",
    "DROP TABLE jupyterhub",
)
"""Copied and not renamed: what hangs on a table keeps its own name, which the new tables need."""

_services = Table(
    "service",
    MetaData(),
    Column("id", Integer),
    *(Column(name, String) for name in ("name", "start_id", "jupyterhub_username", "jupyterhub_user_id")),
    *(Column(name, String) for name in ("flavor", "status")),
    *(Column(name, UtcDateTime) for name in ("start_date", "last_update", "end_date")),
    *(Column(name, LargeBinary) for name in ("body", "state", "start_response")),
)
"""The part of revision 0001 that is filled. Spelled out: later revisions change ``infra.tables``, but not this."""


def set_aside(db: Connection) -> None:
    """Move upstream's rows out of the way of the tables that the migrations make. Raises ``ConfigError``."""
    found = {column["name"] for column in inspect(db).get_columns("service")}
    if missing := sorted(_COLUMNS - found):
        raise ConfigError(
            f"SQL_DATABASE: its table 'service' is not that of an Outpost, since it has no column {missing[0]!r}; "
            "give Outpost a database of its own"
        )
    try:
        _lock(db)
        for statement in _SET_ASIDE:
            db.execute(text(statement))
    except DBAPIError as error:
        raise _in_the_way(error) from error
    fault_point("migrate:set-aside")


def _lock(db: Connection) -> None:
    """Nothing may be written any more by the Outpost that is replaced. SQLite's transaction is alone already."""
    if db.dialect.name != "sqlite":
        db.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
        db.execute(text("SET LOCAL TIME ZONE 'UTC'"))  # elsewhere the end of the year 9999 is no date in Python
        db.execute(text("LOCK TABLE service, jupyterhub IN ACCESS EXCLUSIVE MODE"))


def _in_the_way(error: DBAPIError) -> Exception:
    """What an operator can do something about, in PostgreSQL's words; other errors as they are."""
    told = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if not isinstance(told, dict):
        return error
    state = str(told.get("C"))
    if state == _LOCK_TIMEOUT:
        return ConfigError(
            f"the database is still used by another Outpost after {_LOCK_SECONDS} seconds; stop it, and start again"
        )
    if state.startswith(_NOT_ALLOWED):
        return ConfigError(f"the existing Outpost's tables cannot be replaced, and are unchanged: {told.get('M')}")
    return error


def bring_back(db: Connection, sealer: Sealer) -> None:
    """Fill the tables of revision 0001 with what ``set_aside`` moved. Raises ``ConfigError`` that names a row."""
    db.execute(
        text(
            "INSERT INTO jupyterhub (name) SELECT name FROM upstream_jupyterhub WHERE name IS NOT NULL "
            "UNION SELECT jupyterhub_username FROM upstream_service"
        )
    )
    converter = Converter(sealer, _newest(db))
    for batch in _newest_first(db):
        rows = [row for old in batch if (row := converter.convert(old)) is not None]
        if rows:
            db.execute(_services.insert().values(rows))  # one statement, or each row is a round trip
    if db.dialect.name != "sqlite":
        db.execute(text("SELECT setval(pg_get_serial_sequence('service', 'id'), (SELECT max(id) FROM service))"))
    for table in ("upstream_service", "upstream_jupyterhub"):
        db.execute(text(f"DROP TABLE {table}"))
    fault_point("migrate:copied")
    log.info("the database of an earlier Outpost is upgraded: %s", converter.summary())


def _newest(db: Connection) -> dict[Identity, int]:
    """The id of the newest row of every identity."""
    query = "SELECT id, jupyterhub_username, name, start_id FROM upstream_service ORDER BY id"
    return {identity_of(row): row["id"] for row in db.execute(text(query)).mappings()}


def _newest_first(db: Connection) -> Iterator[list[dict[str, Any]]]:
    """All rows, newest first, as the driver reads them: the columns' types differ between upstream's versions."""
    query = text("SELECT * FROM upstream_service WHERE id <= :last ORDER BY id DESC LIMIT :number")
    last = 2**31 - 1
    while batch := [dict(row) for row in db.execute(query, {"last": last, "number": _BATCH}).mappings()]:
        yield batch
        last = batch[-1]["id"] - 1
