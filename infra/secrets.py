"""Secrets of a cloud that become environment: ``OUTPOST_SECRETS`` names them, AWS or Google keeps them."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import MutableMapping
from datetime import timedelta

from core.errors import ConfigError
from core.ports import Clock
from infra import aws, google_api

log = logging.getLogger(__name__)

VARIABLE = "OUTPOST_SECRETS"
REFRESH_AFTER = timedelta(minutes=1)
"""A refused credential has secrets read again, but not more often than this: anybody can send a wrong password."""

ENDPOINT = "OUTPOST_SECRET_MANAGER_ENDPOINT_URL"

_SSM = "ssm:"
_GOOGLE = re.compile(r"projects/[^/]+/secrets/.*")
_GOOGLE_VERSION = re.compile(r"(projects/[\w.:-]+/secrets/[\w-]+)(/versions/[\w-]+)?")


class Secrets:
    """What the named secrets hold, put into the environment.

    An entry is the id or ARN of a secret of AWS's Secrets Manager, ``ssm:/path`` for a parameter of SSM, or
    ``projects/P/secrets/S`` for the latest version of a secret of Google's Secret Manager (with ``/versions/V``: for
    that one). Its value is a JSON object of variables; with ``NAME=entry`` the whole value is the variable ``NAME``.
    """

    def __init__(self, environ: MutableMapping[str, str], clock: Clock) -> None:
        """Read them all now. Raises ``ConfigError`` that names the secret, never its value."""
        self._environ = environ
        self._clock = clock
        self._google = google_api.Api()
        self._entries = [entry.strip() for entry in environ.get(VARIABLE, "").split(";") if entry.strip()]
        self._read_at = clock()
        self._apply()

    def refresh(self) -> bool:
        """Read them again, if that has not just been done; has anything changed? Trouble is logged."""
        if not self._entries or self._clock() - self._read_at < REFRESH_AFTER:
            return False
        self._read_at = self._clock()
        try:
            return self._apply()
        except ConfigError as error:
            log.error("secrets could not be read again: %s", error)
            return False

    def _apply(self) -> bool:
        values: dict[str, str] = {}
        for entry in self._entries:
            values |= self._values_of(entry)
            if any("\0" in name + value or "=" in name or not name for name, value in values.items()):
                raise ConfigError(f"{VARIABLE}: {entry!r} holds a name or value that no variable can have")
        changed = {name: value for name, value in values.items() if self._environ.get(name) != value}
        self._environ.update(changed)
        return bool(changed)

    def _values_of(self, entry: str) -> dict[str, str]:
        name, assigned, place = entry.partition("=")
        if not assigned:
            name, place = "", entry
        text = self._fetch(place.strip())
        if name:
            return {name.strip(): text}
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise ConfigError(
                f"{VARIABLE}: the value of {place!r} is no JSON object of variables; write NAME={place} to use it whole"
            )
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    def _fetch(self, place: str) -> str:
        return self._from_google(place) if _GOOGLE.fullmatch(place) else self._from_aws(place)

    def _from_google(self, place: str) -> str:
        found = _GOOGLE_VERSION.fullmatch(place)
        if found is None:
            raise ConfigError(f"{VARIABLE}: {place!r} must be projects/P/secrets/S or projects/P/secrets/S/versions/V")
        host = google_api.endpoint(self._environ, ENDPOINT, "https://secretmanager.googleapis.com")
        url = f"{host}/v1/{found[1]}{found[2] or '/versions/latest'}:access"
        answer = self._google.get(VARIABLE, url, f"{place!r} cannot be read")
        try:
            return base64.b64decode(answer.json()["payload"]["data"]).decode()
        except UnicodeDecodeError:
            raise ConfigError(f"{VARIABLE}: {place!r} is binary; it must be text") from None
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{VARIABLE}: {place!r} has no value") from None

    def _from_aws(self, place: str) -> str:
        with aws.explained(f"{VARIABLE}: {place!r} cannot be read"):
            if place.startswith(_SSM):
                answer = aws.client("ssm").get_parameter(Name=place.removeprefix(_SSM), WithDecryption=True)
                return str(answer["Parameter"]["Value"])
            answer = aws.client("secretsmanager").get_secret_value(SecretId=place)
        if "SecretString" not in answer:
            raise ConfigError(f"{VARIABLE}: {place!r} is binary; it must be text")
        return str(answer["SecretString"])
