"""The engine and its transactions: PostgreSQL through pg8000, SQLite in WAL mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import ConfigError, StoreUnavailable
from core.threads import STORE_THREADS

_BUSY_SECONDS = 30


class Database:
    """Short transactions on one engine. Without a database they raise ``StoreUnavailable``."""

    def __init__(self, url: URL) -> None:
        """Nothing is connected yet, but a SQLite folder that does not exist is a ``ConfigError`` now."""
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            _check_folder(url.database or "")
        self.engine = _engine(url, self.is_sqlite)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it takes the write lock at once, so it never has to give up."""
        writing = self.engine.execution_options(outpost_write=True)
        with _translated(), writing.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _check_folder(database: str) -> None:
    if not database or database == ":memory:":
        raise ConfigError("SQL_DATABASE_URL: must name a file, so that services outlive the process")
    folder = Path(database).absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"SQL_DATABASE_URL: the folder {folder} does not exist")


def _engine(url: URL, is_sqlite: bool) -> Engine:
    options: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": STORE_THREADS,
        "max_overflow": 2,
        "pool_timeout": 10,
    }
    if is_sqlite:
        options["connect_args"] = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    else:
        options |= {"pool_pre_ping": True, "connect_args": {"timeout": 10}}
    engine = create_engine(url, **options)
    if is_sqlite:
        event.listen(engine, "connect", _on_sqlite_connect)
        event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("outpost_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise StoreUnavailable(f"the database does not answer: {_cause(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(f"the database does not answer: {_cause(error)}") from error
        raise


def _cause(error: Exception) -> str:
    """The driver's own words, without the statement and its parameters."""
    return str(getattr(error, "orig", None) or error).splitlines()[0]
