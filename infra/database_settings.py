"""The part of the environment that says where the database is."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import URL

from core.errors import ConfigError

Tls = ssl.SSLContext | Literal[False] | None
"""What pg8000 takes: a context, False for none, or None for encryption where the server can."""


class DatabaseSettings(BaseModel):
    """``SQL_*``: SQLite by default, or PostgreSQL."""

    # Built when read: of the classes that stand on each other a process reads one.
    model_config = ConfigDict(extra="ignore", defer_build=True)

    sql_type: Literal["sqlite", "postgresql"] = Field("sqlite", validation_alias="SQL_TYPE")
    sql_user: str = Field("", validation_alias="SQL_USER")
    sql_password: SecretStr = Field(SecretStr(""), validation_alias="SQL_PASSWORD")
    sql_host: str = Field("", validation_alias="SQL_HOST")
    sql_port: int = Field(5432, validation_alias="SQL_PORT", ge=1, le=65535)
    sql_database: str = Field("", validation_alias="SQL_DATABASE")
    sql_database_url: str = Field("/tmp/sqlite.db", validation_alias="SQL_DATABASE_URL")  # noqa: S108

    sql_pool_size: int = Field(8, validation_alias="SQL_POOL_SIZE", ge=0, le=100)
    """How many connections a process keeps; 0 opens one for each transaction."""

    sql_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer", validation_alias="SQL_SSLMODE"
    )
    """As libpq's: ``prefer`` encrypts when the server can, ``verify-full`` verifies its certificate and name too."""
    sql_sslrootcert: str = Field("", validation_alias="SQL_SSLROOTCERT")
    sql_sslcert: str = Field("", validation_alias="SQL_SSLCERT")
    sql_sslkey: str = Field("", validation_alias="SQL_SSLKEY")

    sql_iam_auth: bool = Field(False, validation_alias="SQL_IAM_AUTH")
    """Log in to RDS with short-lived tokens of this process's AWS role instead of a password."""

    @property
    def database_url(self) -> URL:
        """Where the database is, in SQLAlchemy's terms."""
        if self.sql_type == "sqlite":
            path = self.sql_database_url.removeprefix("sqlite:///")
            return URL.create("sqlite", database=path)
        login: dict[str, Any] = {"username": self.sql_user, "password": self.sql_password.get_secret_value() or None}
        if self._is_socket:
            login["query"] = {"unix_sock": f"{self.sql_host.rstrip('/')}/.s.PGSQL.{self.sql_port}"}
        else:
            login |= {"host": self.sql_host, "port": self.sql_port}
        return URL.create("postgresql+pg8000", database=self.sql_database, **login)

    @property
    def tcp_address(self) -> tuple[str, int] | None:
        """The host and port of PostgreSQL; None where the database is on this machine, as SQLite and sockets are."""
        if self.sql_type == "sqlite" or self._is_socket:
            return None
        return self.sql_host, self.sql_port

    @property
    def _is_socket(self) -> bool:
        """As with libpq, a host that is a path is the folder of the server's socket."""
        return self.sql_host.startswith("/")

    def check_database(self) -> None:
        """Raises ``ConfigError`` that names the variables that are missing or contradict each other."""
        if self.sql_type == "sqlite":
            return
        required = {"SQL_USER": self.sql_user, "SQL_HOST": self.sql_host, "SQL_DATABASE": self.sql_database}
        if missing := [name for name, value in required.items() if not value]:
            raise ConfigError(f"{', '.join(missing)}: not set, but SQL_TYPE=postgresql needs it")
        if bool(self.sql_sslcert) != bool(self.sql_sslkey):
            raise ConfigError("SQL_SSLCERT, SQL_SSLKEY: a client certificate needs both")
        if self._is_socket and self.sql_sslmode not in ("disable", "prefer"):
            raise ConfigError(
                f"SQL_SSLMODE: {self.sql_sslmode!r}, but SQL_HOST is a socket, which has no TLS; leave it out"
            )
        may_be_plain = self.sql_sslmode in ("disable", "prefer")
        verifies = self.sql_sslmode.startswith("verify-")
        unused = ["SQL_SSLROOTCERT"] if self.sql_sslrootcert and not verifies else []
        unused += ["SQL_SSLCERT"] if self.sql_sslcert and may_be_plain else []
        if unused:
            raise ConfigError(f"{', '.join(unused)}: set, but not used; set SQL_SSLMODE to 'verify-full'")
        if self.sql_iam_auth and may_be_plain:
            raise ConfigError("SQL_IAM_AUTH: RDS takes tokens over TLS only; set SQL_SSLMODE to 'verify-full'")
        self.tls()

    def tls(self) -> Tls:
        """How connections are encrypted. Raises ``ConfigError`` for files that cannot be used."""
        if self.sql_sslmode == "disable" or self._is_socket:
            return False
        if self.sql_sslmode == "prefer":
            return None
        context = ssl.create_default_context()
        _load(context.load_verify_locations, "SQL_SSLROOTCERT", self.sql_sslrootcert)
        _load(context.load_cert_chain, "SQL_SSLCERT, SQL_SSLKEY", self.sql_sslcert, self.sql_sslkey)
        context.check_hostname = self.sql_sslmode == "verify-full"
        if self.sql_sslmode == "require":
            context.verify_mode = ssl.CERT_NONE
        return context


def _load(load: Any, names: str, *paths: str) -> None:
    if not all(paths):
        return
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(f"{names}: there is no file {path}")
    try:
        load(*paths)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"{names}: {', '.join(paths)} cannot be used: {error}") from None
