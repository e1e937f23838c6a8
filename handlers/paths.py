"""Which route a raw path means: names may be empty or hold any character, ``/`` included."""

from __future__ import annotations

import string
from urllib.parse import quote, unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

_KEPT = string.printable.strip()
_SERVICES = "/services"
NO_START_ID = "0"


class SegmentConvertor(Convertor[str]):
    """One segment of a path, which may be empty; decoded only here, so an encoded ``/`` is part of it."""

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        """The segment as the hub meant it."""
        return unquote(value)

    def to_string(self, value: str) -> str:
        """The segment as it stands in a path."""
        return quote(value, safe="")


register_url_convertor("segment", SegmentConvertor())


def routing_path(raw_path: bytes, base_path: str = "") -> str:
    """The canonical path for a raw one, still percent-encoded: without ``base_path`` and trailing slash.

    ``/services/NAME/START_ID`` always has both parts; hubs that do not encode a ``/`` in a name are understood.
    """
    path = quote(raw_path, safe=_KEPT)
    if base_path and (path == base_path or path.startswith(base_path + "/")):
        path = path[len(base_path) :] or "/"
    if not path.startswith(_SERVICES + "/"):
        return path.rstrip("/") or "/"
    segments = path[len(_SERVICES) + 1 :].split("/")
    if segments == [""]:
        return _SERVICES
    if len(segments) > 2 and segments[-1] == "":
        segments.pop()
    name, start_id = "%2F".join(segments[:-1]), segments[-1]
    if len(segments) == 1:
        name, start_id = segments[0], NO_START_ID
    return f"{_SERVICES}/{name}/{start_id or NO_START_ID}"


class RawPaths:
    """ASGI middleware that routes by :func:`routing_path`, because servers decode ``path`` before anybody can look."""

    def __init__(self, app: ASGIApp, base_path: str = "") -> None:
        self._app = app
        self._base_path = base_path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on with the canonical path."""
        if scope["type"] == "http":
            raw = scope.get("raw_path") or quote(scope["path"]).encode()
            canonical = routing_path(raw.partition(b"?")[0], self._base_path)
            scope = dict(scope, root_path=self._base_path, path=self._base_path + canonical)
        await self._app(scope, receive, send)
