"""Requests to an API server, as one user."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

Object = dict[str, Any]


class Api:
    """A user's requests; every answer that is no success raises ``httpx.HTTPStatusError``."""

    def __init__(self, url: str, certificate: str, token: str) -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}", "User-Agent": "tests"},
            verify=ssl.create_default_context(cafile=certificate),
            timeout=30,
        )

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        if not answer.is_success:
            raise httpx.HTTPStatusError(answer.text, request=answer.request, response=answer)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    def get(self, path: str, **params: str) -> Any:
        """An object, a list's object, or a log's text."""
        return self._call("GET", path, params=params)

    def create(self, path: str, **content: Any) -> Object:
        """Make an object; the object as it was stored."""
        created: Object = self._call("POST", path, json=content)
        return created

    def patch(self, path: str, **content: Any) -> Object:
        """Merge into an object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        patched: Object = self._call("PATCH", path, json=content, headers=headers)
        return patched

    def delete(self, path: str, **params: str) -> None:
        """Delete an object; one that is not there is deleted."""
        try:
            self._call("DELETE", path, params=params)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise


class Namespace:
    """One namespace, as the administrator sees it."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.name = name

    def path(self, kind: str, name: str = "") -> str:
        """``pods``, ``services``, ``secrets``, ``events``, ..., or one of them."""
        return f"/api/v1/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def all(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        items: list[Object] = self.api.get(self.path(kind))["items"]
        return items

    def names(self, kind: str) -> list[str]:
        """The names of all objects of a kind."""
        return [item["metadata"]["name"] for item in self.all(kind)]

    def find(self, kind: str, name: str) -> Object | None:
        """One object, or None."""
        return next((item for item in self.all(kind) if item["metadata"]["name"] == name), None)

    def pod(self, name: str) -> Object | None:
        """One pod, or None."""
        return self.find("pods", name)

    def delete_pod(self, name: str, grace_seconds: int | None = None) -> None:
        """Ask for the end of a pod, as somebody with ``kubectl`` does; 0 removes it at once."""
        params = {} if grace_seconds is None else {"gracePeriodSeconds": str(grace_seconds)}
        self.api.delete(self.path("pods", name), **params)

    def events(self, name: str) -> list[str]:
        """What was said about an object, as ``REASON: MESSAGE``."""
        about = [event for event in self.all("events") if event["involvedObject"]["name"] == name]
        return [f"{event['reason']}: {event['message']}" for event in about]

    def token(self, account: str, seconds: int = 3600) -> str:
        """A token for a service account, which is made when it is not there."""
        if self.find("serviceaccounts", account) is None:
            self.api.create(self.path("serviceaccounts"), metadata={"name": account})
        path = f"{self.path('serviceaccounts', account)}/token"
        token: str = self.api.create(path, spec={"expirationSeconds": seconds})["status"]["token"]
        return token
