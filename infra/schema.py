"""Which version the database's schema has, and bringing it to this code's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text

from core.errors import ConfigError, StoreUnavailable
from infra.crypto import Sealer
from infra.database import Database

REVISIONS = ("0001", "0002", "0003", "0004")
"""All revisions this code knows, oldest first. A test holds them to the migrations' files."""

SchemaState = Literal["absent", "upstream", "older", "current", "newer"]
"""``upstream``: the existing implementation's database, not yet converted."""

_ONE_MIGRATION_AT_A_TIME = 7_305_461
_LONGEST_MIGRATION_SECONDS = 600
_LOOK_AGAIN_SECONDS = 0.2
_NEWER = "the database was migrated by a newer Outpost; run that version, or a newer one"


def schema_state(database: Database) -> SchemaState:
    """How the database's schema compares with this code's. Needs no Alembic."""
    with database.read() as connection:
        return _state(connection)


def _state(connection: Connection) -> SchemaState:
    inspector = inspect(connection)
    if not inspector.has_table("alembic_version"):
        return "upstream" if inspector.has_table("service") else "absent"
    revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if revision == REVISIONS[-1]:
        return "current"
    return "older" if revision in REVISIONS else "newer"


def migrate(database: Database, sealer: Sealer) -> None:
    """Bring the schema to this code's version in one transaction; several processes may call it at once.

    The existing implementation's database is converted: ``sealer`` opens its rows. Raises ``ConfigError`` when
    the schema is newer than the code, since running on would harm it, and when a database cannot be converted.
    """
    with database.write() as connection:
        if not database.is_sqlite:
            _wait_for_others(connection)
        state = _state(connection)
        if state == "newer":
            raise ConfigError(_NEWER)
        if state == "upstream":
            _convert(connection, sealer)
        if state != "current":
            _upgrade(connection, "head")


def _wait_for_others(connection: Connection) -> None:
    """Asked again and again, since a single question would end with the connection's time-out."""
    deadline = time.monotonic() + _LONGEST_MIGRATION_SECONDS
    while not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({_ONE_MIGRATION_AT_A_TIME})")):
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"another process has been migrating the database for {_LONGEST_MIGRATION_SECONDS} seconds"
            )
        time.sleep(_LOOK_AGAIN_SECONDS)


def _convert(connection: Connection, sealer: Sealer) -> None:
    from infra import upstream  # once in a database's life

    upstream.set_aside(connection)
    _upgrade(connection, REVISIONS[0])
    upstream.bring_back(connection, sealer)


def require_current(database: Database) -> None:
    """For who does not migrate. Raises ``ConfigError`` that names the way out unless the schema is this code's."""
    state = schema_state(database)
    if state == "newer":
        raise ConfigError(_NEWER)
    if state != "current":
        raise ConfigError(f"the database's schema is {state!r}, not 'current'; run: python -m handlers.server migrate")


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # costs more than the rest of the start: only when there is work
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
