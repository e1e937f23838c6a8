"""GKE: where a cluster is, and tokens of this process's Google account."""

from __future__ import annotations

from datetime import UTC, timedelta
from functools import partial

from core.errors import ConfigError
from infra import google_api
from infra.kubeconfig import Cluster, Token

VARIABLE = "OUTPOST_GKE_CLUSTER"
EMAIL_SCOPE = "https://www.googleapis.com/auth/userinfo.email"
"""Without it Kubernetes knows a service account by a number instead of the e-mail address that role bindings name."""
RENEW_BEFORE = timedelta(minutes=4)
"""Google hands the same token out again until it has less than that, give or take, left of its hour."""


class GkeAccess:
    """A cluster, as the application default credentials see it."""

    def __init__(self, name: str, base_url: str) -> None:
        """``name`` is ``projects/P/locations/L/clusters/C``. Raises ``ConfigError``."""
        self._name = name
        self._url = f"{base_url.rstrip('/')}/v1/{name}"
        self._credentials = google_api.credentials(VARIABLE, EMAIL_SCOPE)

    def describe(self) -> Cluster:
        """Look it up. Raises ``ConfigError`` that names it."""
        answer = google_api.Api(self._credentials).get(VARIABLE, self._url, f"{self._name!r} cannot be described")
        found = answer.json()
        address, authority = found.get("endpoint"), found.get("masterAuth", {}).get("clusterCaCertificate")
        if not address or not authority:
            raise ConfigError(f"{VARIABLE}: {self._name!r} has no endpoint; it is {found.get('status')}")
        return Cluster(self._name.rpartition("/")[2], f"https://{address}", authority)

    def token(self) -> Token:
        """A token that has just been asked for. Raises ``ConfigError``."""
        with google_api.explained(VARIABLE, f"a token for {self._name!r} cannot be had"):
            from google.auth.transport.requests import Request

            self._credentials.refresh(partial(Request(), timeout=google_api.SECONDS))
        ends = self._credentials.expiry.replace(tzinfo=UTC)
        return Token(self._credentials.token, ends - RENEW_BEFORE)
