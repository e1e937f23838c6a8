"""Calls to hubs with the options of ``outpost_config.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.hooks import resolve
from core.ports import HubCall, HubClient, Meter

LATER = (408, 425, 429)
"""HTTP statuses of who is there, but not now."""


class HubCalls:
    """A :class:`core.ports.HubClient` that heeds ``c.JupyterHubOutpost.request_kwargs``."""

    def __init__(self, client: HubClient, outpost: Callable[[], JupyterHubOutpost], meter: Meter) -> None:
        self._client = client
        self._meter = meter
        self._outpost = outpost

    async def post(self, hub: str, call: HubCall, url: str, token: str, body: Mapping[str, Any], ca: str = "") -> int:
        """POST JSON; the HTTP status below 500. Raises ``HubUnreachable``."""
        status, _ = await self._counted(hub, call, "POST", url, token, body, ca)
        return status

    async def get(self, hub: str, call: HubCall, url: str, token: str) -> tuple[int, bytes]:
        """GET; the HTTP status below 500 and the body. Raises ``HubUnreachable``."""
        return await self._counted(hub, call, "GET", url, token, None, "")

    async def _counted(
        self, hub: str, call: HubCall, method: str, url: str, token: str, body: Mapping[str, Any] | None, ca: str
    ) -> tuple[int, bytes]:
        outcome: Literal["ok", "refused", "unreachable"] = "unreachable"  # also when nobody waits any longer
        try:
            options = await self._options()
            status, answer = await self._client.call(method, url, token, body, ca=ca, options=options)
        except HubUnreachable:
            raise
        except Exception as error:  # an operator's options or a hub's CA may be anything
            raise HubUnreachable(
                f"it cannot be called, see request_kwargs and its CA: {type(error).__name__}: {error}"
            ) from error
        else:
            if status not in LATER:
                outcome = "ok" if status < 400 else "refused"
        finally:
            self._meter.hub_called(hub, call, outcome)
        return status, answer

    async def _options(self) -> Mapping[str, object]:
        outpost = self._outpost()
        options: Mapping[str, object] = await resolve(
            outpost.request_kwargs, *([outpost] if callable(outpost.request_kwargs) else [])
        )
        return options
