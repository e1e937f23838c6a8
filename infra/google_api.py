"""Google's APIs as this process's account may use them: plain GETs, and trouble in one line (the extra ``gcp``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.errors import ConfigError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
SECONDS = 5
NOT_MODIFIED = 304

_LONGEST = 400
_URL = re.compile(r"https?://[^/]+/*")


class Api:
    """What these credentials can read; without any, the application default ones, looked for at the first call."""

    def __init__(self, credentials: Any = None) -> None:
        self._credentials = credentials

    def get(self, variable: str, url: str, what: str, headers: Mapping[str, str] | None = None) -> Any:
        """A ``requests`` answer whose status is 200 or 304.

        Raises ``ConfigError``, which begins with ``variable`` and ``what`` was in vain, and shows nothing of an answer.
        """
        if self._credentials is None:
            self._credentials = credentials(variable)
        with explained(variable, what):
            from google.auth.transport.requests import AuthorizedSession

            with AuthorizedSession(self._credentials) as session:
                answer = session.get(url, headers=headers, timeout=SECONDS, max_allowed_time=2 * SECONDS)
        if answer.status_code not in (200, NOT_MODIFIED):
            raise ConfigError(f"{variable}: {what}: HTTP {answer.status_code}{_reason(answer)}")
        return answer


def credentials(variable: str, *more_scopes: str) -> Any:
    """The application default credentials, whose tokens have :data:`SCOPE` and those. Raises ``ConfigError``."""
    with explained(variable, "there are no Google credentials"):
        import google.auth

        found, _ = google.auth.default(scopes=[SCOPE, *more_scopes])
        return found


def endpoint(environ: Mapping[str, str], variable: str, default: str) -> str:
    """The address of an API, without a slash at its end. Raises ``ConfigError``."""
    url = environ.get(variable, "").strip() or default
    if not _URL.fullmatch(url):
        raise ConfigError(f"{variable}: must have the form https://host")
    return url.rstrip("/")


def _reason(answer: Any) -> str:
    """Google's own word for an error, such as ``PERMISSION_DENIED``."""
    try:
        return f" {answer.json()['error']['status']}"
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def explained(variable: str, what: str) -> Iterator[None]:
    """Trouble with Google becomes a ``ConfigError`` of one line, without an answer's body, which may hold a secret."""
    try:
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException
    except ImportError:
        raise ConfigError(f"{variable}: google-auth is not installed; it comes with outpost[gcp]") from None
    try:
        yield
    except (GoogleAuthError, RequestException, OSError) as error:
        raise ConfigError(f"{variable}: {what}: {told(error)}") from None


def told(trouble: object) -> str:
    """An error, or its message, in one line of bounded length."""
    text = trouble
    if isinstance(trouble, BaseException):
        text = (trouble.args[0] if trouble.args else None) or type(trouble).__name__
    return " ".join(str(text).split())[:_LONGEST]
