"""The environment Outpost is configured by, typed and checked once at start-up."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from core.errors import ConfigError


class Settings(BaseSettings):
    """Every variable Outpost reads. Lists are separated by ``;`` and paired by position."""

    model_config = SettingsConfigDict(case_sensitive=True, extra="ignore")

    config_file: str = Field("", validation_alias="OUTPOST_CONFIG_FILE")
    crypt_key: SecretStr = Field(SecretStr(""), validation_alias="OUTPOST_CRYPT_KEY")
    base_path: str = Field("", validation_alias="OUTPOST_BASE_PATH")
    logger_name: str = Field("JupyterHubOutpost", validation_alias="LOGGER_NAME")

    usernames: str = Field("", validation_alias="usernames")
    passwords: SecretStr = Field(SecretStr(""), validation_alias="passwords")

    flavors_path: Path = Field(Path("/mnt/flavors/flavors.yaml"), validation_alias="OUTPOST_FLAVORS_PATH")
    credits_path: Path = Field(Path("/mnt/credits/credits.yaml"), validation_alias="OUTPOST_CREDITS_PATH")

    sql_type: Literal["sqlite", "postgresql"] = Field("sqlite", validation_alias="SQL_TYPE")
    sql_user: str = Field("", validation_alias="SQL_USER")
    sql_password: SecretStr = Field(SecretStr(""), validation_alias="SQL_PASSWORD")
    sql_host: str = Field("", validation_alias="SQL_HOST")
    sql_port: int = Field(5432, validation_alias="SQL_PORT", ge=1, le=65535)
    sql_database: str = Field("", validation_alias="SQL_DATABASE")
    sql_database_url: str = Field("/tmp/sqlite.db", validation_alias="SQL_DATABASE_URL")  # noqa: S108

    check_enddates: bool = Field(True, validation_alias="CHECK_ENDDATES")
    check_enddates_seconds: float = Field(60, validation_alias="JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER", gt=0)

    lease_seconds: float = Field(30, validation_alias="OUTPOST_LEASE_SECONDS", ge=1)
    """How long a start or stop is left to a process that gives no sign of life."""

    @property
    def config_path(self) -> Path | None:
        """The configuration file: the one named, else ``outpost_config.py`` where there is one."""
        if self.config_file:
            return Path(self.config_file)
        here = Path("outpost_config.py").absolute()
        return here if here.exists() else None

    @property
    def hub_passwords(self) -> dict[str, str]:
        """The hubs that may log in. A name without a password is not among them."""
        names, passwords = self.usernames.split(";"), self.passwords.get_secret_value().split(";")
        return {
            name.strip(): password.strip()
            for name, password in zip(names, passwords, strict=False)
            if name.strip() and password.strip()
        }

    @property
    def hubs_without_password(self) -> list[str]:
        """The names in ``usernames`` that cannot log in."""
        names = [name.strip() for name in self.usernames.split(";") if name.strip()]
        return [name for name in names if name not in self.hub_passwords]

    @property
    def database_url(self) -> URL:
        """Where the database is, in SQLAlchemy's terms."""
        if self.sql_type == "sqlite":
            path = self.sql_database_url.removeprefix("sqlite:///")
            return URL.create("sqlite", database=path)
        return URL.create(
            "postgresql+pg8000",
            username=self.sql_user,
            password=self.sql_password.get_secret_value() or None,
            host=self.sql_host,
            port=self.sql_port,
            database=self.sql_database,
        )


def read_settings() -> Settings:
    """The settings in this process's environment. Raises ``ConfigError`` that names the variable."""
    try:
        settings = Settings()  # type: ignore[call-arg]  # the environment is where they come from
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigError(f"{first['loc'][0]}: {first['msg']}") from None
    missing = [name for name, value in _required(settings).items() if not value]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: not set, but SQL_TYPE=postgresql needs it")
    return settings


def _required(settings: Settings) -> dict[str, str]:
    if settings.sql_type == "sqlite":
        return {}
    return {"SQL_USER": settings.sql_user, "SQL_HOST": settings.sql_host, "SQL_DATABASE": settings.sql_database}
