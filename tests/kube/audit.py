"""What an API server was asked, and by whom: its own audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
"""
"""The first stage, "received", is logged before the answer: a request is in the log once its caller has an answer."""


class Request(NamedTuple):
    """One request. ``code`` is 0 as long as there is no answer, ``uri`` has the query."""

    verb: str
    uri: str
    user: str
    user_agent: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int

    def __str__(self) -> str:
        return f"{self.verb} {self.uri} {self.code}"


class AuditLog:
    """Reads the log file of a running API server."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def mark(self) -> int:
        """Now, for ``requests(since=...)``."""
        return self._file.stat().st_size if self._file.exists() else 0

    def requests(self, since: int = 0, *, user: str = "", user_agent: str = "", namespace: str = "") -> list[Request]:
        """The requests made since a mark, in their order.

        Of one user, of user agents with that beginning, of one namespace. A watch is one request from its beginning on.
        """
        found: dict[str, Request] = {}
        for entry in self._entries(since):
            known = found.get(entry["auditID"])
            if known is not None or entry["stage"] == "RequestReceived":
                found[entry["auditID"]] = _request(entry)
        return [
            request
            for request in found.values()
            if user in ("", request.user)
            and request.user_agent.startswith(user_agent)
            and namespace in ("", request.namespace)
        ]

    def _entries(self, since: int) -> list[dict[str, Any]]:
        with self._file.open("rb") as file:
            file.seek(since)
            lines = file.read().split(b"\n")[:-1]  # the last one may be half written
        return [json.loads(line) for line in lines]


def _request(entry: dict[str, Any]) -> Request:
    target = entry.get("objectRef", {})
    return Request(
        verb=entry["verb"],
        uri=entry["requestURI"],
        user=entry.get("user", {}).get("username", ""),
        user_agent=entry.get("userAgent", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=entry.get("responseStatus", {}).get("code", 0),
    )
