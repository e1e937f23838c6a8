"""``python -m handlers.server migrate`` and ``rotate-key``: they need the database and the keys, nothing else."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from infra.crypto import Sealer
from infra.database import Database
from infra.rotate import rotate_key
from infra.schema import REVISIONS, migrate, require_current
from infra.settings import Settings, StoreSettings, from_environment
from infra.wiring import open_database

_UNREADABLE = 1


def run_migrate() -> int:
    """Bring the schema to this version, and say so. Raises ``ConfigError``, ``StoreUnavailable``."""
    with _database() as (database, sealer):
        migrate(database, sealer)
    print(f"the database's schema is current ({REVISIONS[-1]})")  # noqa: T201
    return 0


def run_rotate_key() -> int:
    """Encrypt all rows with the first key; 1 when some could not be read. Raises as ``run_migrate`` does."""
    with _database() as (database, sealer):
        require_current(database)
        rotation = rotate_key(database, sealer)
    for row in rotation.unreadable:
        print(f"outpost: {row}; it is left alone", file=sys.stderr)  # noqa: T201
    print(rotation)  # noqa: T201
    return _UNREADABLE if rotation.unreadable else 0


def prepare(settings: Settings, database: Database) -> None:
    """What a start does to the database: ``OUTPOST_MIGRATE`` decides. Raises ``ConfigError``."""
    if settings.migrate == "auto":
        migrate(database, settings.sealer())
    else:
        require_current(database)


@contextmanager
def _database() -> Iterator[tuple[Database, Sealer]]:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = from_environment(StoreSettings)
    sealer, database = settings.sealer(), open_database(settings)
    try:
        yield database, sealer
    finally:
        database.close()
