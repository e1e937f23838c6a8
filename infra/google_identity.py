"""Who is calling, by Google's ID tokens. google-auth is the extra ``gcp``."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any

from core.errors import ConfigError
from core.ports import Clock

log = logging.getLogger(__name__)

KEEP_FOR = timedelta(hours=1)
"""Google announces a new certificate a day before it signs with it."""
LOOK_AGAIN_AFTER = timedelta(minutes=1)
"""A key that is not known has certificates fetched, but not more often: anybody can make a name up."""

_SECONDS = 5
_SKEW_SECONDS = 10
_OK = 200
_ISSUERS = ("accounts.google.com", "https://accounts.google.com")
_NO_ID_GIVEN = "the token is no ID token"
_NOT_GOOGLES = "the token is not signed with a key of Google's"
_REASONS = {
    "Token expired": "the token has expired",
    "Token used too early": "the token is not valid yet; are the clocks right?",
    "Token has wrong audience": "the token is for another audience than OUTPOST_OIDC_AUDIENCE names",
    "Could not verify token signature": _NOT_GOOGLES,
    "Unsupported signature algorithm": _NOT_GOOGLES,
    "Certificate key type": _NOT_GOOGLES,
}
"""How google-auth's messages begin, and what is said instead: they can quote the token."""

_TAKEN_AWAY = "SIGNATURE_REMOVED_BY_GOOGLE"


class Unidentified(Exception):
    """Nobody can tell who is calling; the message says why, without the token."""


class NotAllowed(Exception):
    """The caller is known, and may not call."""


class CertificatesUnavailable(Exception):
    """Google's certificates cannot be had now."""


class CallerCheck:
    """Lets the named accounts in, with a token that Google signed for one of the audiences. Safe to use in threads."""

    def __init__(self, audiences: Collection[str], callers: Collection[str], clock: Clock) -> None:
        """Raises ``ConfigError`` without google-auth."""
        try:
            import google.auth.jwt
            import google.auth.transport.requests  # noqa: F401  # what the first call needs
        except ImportError:
            raise ConfigError(
                "OUTPOST_OIDC_AUDIENCE: google-auth is not installed; it comes with outpost[gcp]"
            ) from None
        self._audiences = list(audiences)
        self._callers = frozenset(callers)
        self._clock = clock
        self._certificates: Mapping[str, str] = {}
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._fetching = Lock()

    def check(self, authorization: str) -> str:
        """The e-mail address of the caller whose ``Authorization`` header this is.

        Raises ``Unidentified``, ``NotAllowed`` or ``CertificatesUnavailable``.
        """
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unidentified("there is no Google ID token; it goes into the header Authorization: Bearer TOKEN")
        claims = self._verified(token.strip())
        if claims.get("iss") not in _ISSUERS:
            raise Unidentified("the token was not issued by Google")
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise Unidentified("the token has no verified e-mail address; ask for it in the full format")
        if email not in self._callers:
            raise NotAllowed(f"{email} is not among the callers that OUTPOST_OIDC_CALLERS allows")
        return email

    def _verified(self, token: str) -> Mapping[str, Any]:
        """The claims of a token with a good signature, for one of the audiences, not too old."""
        from google.auth import exceptions, jwt

        if token.endswith(f".{_TAKEN_AWAY}"):
            raise Unidentified(
                "Cloud Run has checked this token and taken its signature away; "
                "leave OUTPOST_OIDC_AUDIENCE unset where it requires authentication itself"
            )
        try:
            key = jwt.decode_header(token).get("kid")
            certificates = self._certificates_with(key)
            if key not in certificates:
                raise Unidentified(_NOT_GOOGLES)
            claims = jwt.decode(token, certificates, audience=self._audiences, clock_skew_in_seconds=_SKEW_SECONDS)
        except exceptions.GoogleAuthError as error:
            raise Unidentified(_reason(error)) from None
        except (ValueError, TypeError):  # parts that are no base64, claims of a wrong type
            raise Unidentified(_NO_ID_GIVEN) from None
        return claims if isinstance(claims, Mapping) else {}

    def _certificates_with(self, key: object) -> Mapping[str, str]:
        """Google's certificates, fetched again when they are old or do not have this key."""
        with self._fetching:
            now = self._clock()
            is_wanted = self._fetched_at is None or now - self._fetched_at > KEEP_FOR or key not in self._certificates
            may_ask = self._asked_at is None or now - self._asked_at >= LOOK_AGAIN_AFTER
            if is_wanted and (may_ask or self._fetched_at is None):
                self._fetch(now)
            return self._certificates

    def _fetch(self, now: datetime) -> None:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2 import id_token

        self._asked_at = now
        try:
            answer = partial(Request(), timeout=_SECONDS)(id_token._GOOGLE_OAUTH2_CERTS_URL, method="GET")
            found = json.loads(answer.data) if answer.status == _OK else None
            if not isinstance(found, dict) or not found:
                raise ValueError(f"HTTP {answer.status}")
        except (GoogleAuthError, ValueError) as error:
            if self._fetched_at is None:
                raise CertificatesUnavailable("Google's certificates cannot be had now; try again") from error
            log.error("Google's certificates cannot be had, the last ones stay in force: %s", error)
            return
        self._certificates, self._fetched_at = found, now


def _reason(error: Exception) -> str:
    """In words of our own."""
    told = str(error.args[0]) if error.args else ""
    return next((reason for beginning, reason in _REASONS.items() if told.startswith(beginning)), _NO_ID_GIVEN)
