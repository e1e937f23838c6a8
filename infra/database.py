"""The engine and its transactions: PostgreSQL through pg8000, SQLite in WAL mode."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import ConfigError, StoreUnavailable
from core.threads import STORE_THREADS
from infra.credentials import Password
from infra.database_settings import Tls

_BUSY_SECONDS = 30
_LOOK_AGAIN_SECONDS = 0.02
_POOL_SECONDS = 10
_CONNECT_SECONDS = 10

_AWAY = ("08", "28", "3D", "53", "57")
"""Classes of SQLSTATE that are about reaching the database, not about a statement: connection, login, no such
database, too little of something, shutdown."""


class Database:
    """Short transactions on one engine. Without a database they raise ``StoreUnavailable``."""

    def __init__(
        self,
        url: URL,
        pool_size: int = STORE_THREADS,
        tls: Tls = None,
        password: Password | None = None,
    ) -> None:
        """Nothing is connected yet, but a SQLite folder that does not exist is a ``ConfigError`` now.

        The rest is PostgreSQL's: a ``pool_size`` of 0 opens a connection for each transaction, ``password`` goes
        before the URL's.
        """
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._turn: Callable[[], AbstractContextManager[None]] = nullcontext
        if self.is_sqlite:
            _check_folder(url.database or "")
            self.engine = _sqlite(url)
            self._turn = partial(_holding, Lock())
        else:
            self.engine = _postgresql(url, pool_size, tls)
            event.listen(self.engine, "do_connect", partial(_log_in, password) if password else _connect)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it takes the write lock at once, so it never has to give up."""
        writing = self.engine.execution_options(outpost_write=True)
        with _translated(), self._turn(), writing.begin() as connection:
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


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=STORE_THREADS,
        max_overflow=2,
        pool_timeout=_POOL_SECONDS,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _postgresql(url: URL, pool_size: int, tls: Tls) -> Engine:
    pool: dict[str, Any] = {"poolclass": NullPool}
    if pool_size:
        pool = {"pool_size": pool_size, "max_overflow": 2, "pool_timeout": _POOL_SECONDS, "pool_pre_ping": True}
    arguments = {"timeout": _CONNECT_SECONDS, "ssl_context": tls}
    return create_engine(url, hide_parameters=True, connect_args=arguments, **pool)


def _log_in(password: Password, dialect: Any, _record: Any, args: Any, options: dict[str, Any]) -> Any:
    """A connection with the password of this moment; with another one, if it has changed meanwhile."""
    options["password"] = password(refused=False)
    try:
        return _connect(dialect, _record, args, options)
    except dialect.dbapi.DatabaseError as error:
        current = password(refused=True) if _is_refused(error) else options["password"]
        if current == options["password"]:
            raise
    return _connect(dialect, _record, args, options | {"password": current})


def _connect(dialect: Any, _record: Any, args: Any, options: dict[str, Any]) -> Any:
    """A connection. Where it is refused, that is the error, not that the server has hung up before pg8000 did."""
    earlier = sys.exception()
    try:
        return dialect.connect(*args, **options)
    except dialect.dbapi.InterfaceError as error:
        refusal: BaseException | None = error
        while refusal and refusal is not earlier:
            if _sqlstate(refusal):
                raise refusal from None
            refusal = refusal.__context__
        raise


def _is_refused(error: Exception) -> bool:
    """Did PostgreSQL refuse the user or password?"""
    return _sqlstate(error).startswith("28")


def _sqlstate(error: BaseException | None) -> str:
    """PostgreSQL's five-letter code in an error of pg8000; empty when there is none."""
    details = error.args[0] if error is not None and error.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    _into_wal(connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _into_wal(connection: Any) -> None:
    """SQLite does not wait for others when a file changes its journal's mode, which it does once in its life."""
    from sqlite3 import SQLITE_BUSY, OperationalError  # whoever has PostgreSQL need not pay for it

    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except OperationalError as error:
            if error.sqlite_errorcode & 0xFF != SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_AGAIN_SECONDS)


def _on_sqlite_begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("outpost_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def _holding(lock: Lock) -> Iterator[None]:
    """This process's turn to write. SQLite itself only looks again every now and then, after up to 100 ms."""
    if not lock.acquire(timeout=_BUSY_SECONDS):
        raise StoreUnavailable("the database does not answer: it is busy with another write")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:  # TLS that fails is an OSError
        raise StoreUnavailable(f"the database does not answer: {_cause(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated or _sqlstate(error.orig).startswith(_AWAY):
            raise StoreUnavailable(f"the database does not answer: {_cause(error)}") from error
        raise


def _cause(error: Exception) -> str:
    """The driver's own words, without the statement and its parameters, and what they come from."""
    told = getattr(error, "orig", None) or error
    details = told.args[0] if told.args else None
    if isinstance(details, dict) and "M" in details:
        return str(details["M"])
    below = told.__cause__ if isinstance(told.__cause__, OSError) else None
    return " ".join(f"{told}{f': {below}' if below else ''}".split()) or type(told).__name__
