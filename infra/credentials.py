"""How Outpost logs in to its database: with a password, or with RDS's short-lived tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from core.errors import ConfigError, StoreUnavailable
from infra import aws
from infra.database_settings import DatabaseSettings


class Password(Protocol):
    """What a new connection logs in with; asked once for each."""

    def __call__(self, refused: bool) -> str:
        """The password of this moment; ``refused``: the last one was not taken, so look again where it comes from."""


def password_for(settings: DatabaseSettings, reread: Callable[[], DatabaseSettings] | None = None) -> Password:
    """The way of logging in that the settings choose. ``reread`` fetches secrets again that may have been rotated."""
    if settings.sql_iam_auth:
        return _iam_tokens(settings)

    def stored(refused: bool) -> str:
        nonlocal settings
        if refused and reread is not None:
            settings = reread()
        return settings.sql_password.get_secret_value()

    return stored


def _iam_tokens(settings: DatabaseSettings) -> Password:
    with aws.explained("SQL_IAM_AUTH: tokens cannot be signed"):
        client = aws.client("rds")

    def token(refused: bool) -> str:
        """Signed on this machine, without a call; it opens connections for 15 minutes."""
        try:
            with aws.explained("SQL_IAM_AUTH: no token can be signed"):
                signed: str = client.generate_db_auth_token(settings.sql_host, settings.sql_port, settings.sql_user)
        except ConfigError as error:  # the role's credentials may come back
            raise StoreUnavailable(f"the database does not answer: {error}") from None
        return signed

    return token
