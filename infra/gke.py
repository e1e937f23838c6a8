"""GKE: where a cluster is, and tokens of this process's Google account. google-auth is the extra ``gcp``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from functools import partial
from typing import Any

from core.errors import ConfigError
from infra.kubeconfig import Cluster, Token

VARIABLE = "OUTPOST_GKE_CLUSTER"
RENEW_BEFORE = timedelta(minutes=4)
"""Google hands the same token out again until it has less than that, give or take, left of its hour."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_SECONDS = 5
_LONGEST = 300


class GkeAccess:
    """A cluster, as the application default credentials see it."""

    def __init__(self, name: str, base_url: str) -> None:
        """``name`` is ``projects/P/locations/L/clusters/C``. Raises ``ConfigError``."""
        self._name = name
        self._url = f"{base_url.rstrip('/')}/v1/{name}"
        with _explained("there are no Google credentials"):
            import google.auth

            self._credentials, _ = google.auth.default(scopes=[_SCOPE])

    def describe(self) -> Cluster:
        """Look it up. Raises ``ConfigError`` that names it."""
        from google.auth.transport.requests import AuthorizedSession

        what = f"{self._name!r} cannot be described"
        with _explained(what), AuthorizedSession(self._credentials) as session:
            answer = session.get(self._url, timeout=_SECONDS, max_allowed_time=2 * _SECONDS)
            found = _checked(answer, what)
        address, authority = found.get("endpoint"), found.get("masterAuth", {}).get("clusterCaCertificate")
        if not address or not authority:
            raise ConfigError(f"{VARIABLE}: {self._name!r} has no endpoint; it is {found.get('status')}")
        return Cluster(self._name.rpartition("/")[2], f"https://{address}", authority)

    def token(self) -> Token:
        """A token that has just been asked for. Raises ``ConfigError``."""
        from google.auth.transport.requests import Request

        with _explained(f"a token for {self._name!r} cannot be had"):
            self._credentials.refresh(partial(Request(), timeout=_SECONDS))
        ends = self._credentials.expiry.replace(tzinfo=UTC)
        return Token(self._credentials.token, ends - RENEW_BEFORE)


def _checked(answer: Any, what: str) -> dict[str, Any]:
    if answer.status_code != 200:
        raise ConfigError(f"{VARIABLE}: {what}: HTTP {answer.status_code}{_reason(answer)}")
    found = answer.json()
    return found if isinstance(found, dict) else {}


def _reason(answer: Any) -> str:
    """Google's own word for an error, such as ``PERMISSION_DENIED``."""
    try:
        return f" {answer.json()['error']['status']}"
    except (ValueError, KeyError, TypeError):
        return ""


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Trouble with Google becomes a ``ConfigError`` of one line, without an answer's body, which may hold a secret."""
    try:
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException
    except ImportError:
        raise ConfigError(f"{VARIABLE}: google-auth is not installed; it comes with outpost[gcp]") from None
    try:
        yield
    except (GoogleAuthError, RequestException, OSError) as error:
        told = " ".join(str(error.args[0] if error.args else "").split())[:_LONGEST]
        raise ConfigError(f"{VARIABLE}: {what}: {told or type(error).__name__}") from None
