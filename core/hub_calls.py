"""Calls to hubs with the options of ``outpost_config.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.config import JupyterHubOutpost
from core.hooks import resolve
from core.ports import HubClient


class HubCalls:
    """A :class:`core.ports.HubClient` that heeds ``c.JupyterHubOutpost.request_kwargs``."""

    def __init__(self, client: HubClient, outpost: Callable[[], JupyterHubOutpost]) -> None:
        self._client = client
        self._outpost = outpost

    async def post(self, url: str, token: str, body: Mapping[str, Any], ca: str = "") -> int:
        """POST JSON; the HTTP status below 500. Raises ``HubUnreachable``."""
        status, _ = await self._client.call("POST", url, token, body, ca=ca, options=await self._options())
        return status

    async def get(self, url: str, token: str) -> tuple[int, bytes]:
        """GET; the HTTP status below 500 and the body. Raises ``HubUnreachable``."""
        return await self._client.call("GET", url, token, None, ca="", options=await self._options())

    async def _options(self) -> Mapping[str, object]:
        outpost = self._outpost()
        options: Mapping[str, object] = await resolve(
            outpost.request_kwargs, *([outpost] if callable(outpost.request_kwargs) else [])
        )
        return options
