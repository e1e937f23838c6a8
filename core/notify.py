"""What a hub is told of a start. Nothing here fails, blocks or slows a start or stop."""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.flavor_updates import FlavorUpdates, update_for
from core.hooks import resolve
from core.hub_calls import HubCalls
from core.model import JsonDict, Service
from core.ports import Clock
from core.redact import redact

log = logging.getLogger(__name__)

PROGRESS_TAIL_SECONDS = 5.0
"""How long events that a Spawner had ready when its start ended may still be on their way."""


class Notifier:
    """Tells hubs about progress and failed starts, and has them told about flavors."""

    def __init__(
        self,
        calls: HubCalls,
        outpost: Callable[[], JupyterHubOutpost],
        flavor_updates: FlavorUpdates,
        background: Background,
        clock: Clock,
    ) -> None:
        self._calls = calls
        self._outpost = outpost
        self._flavor_updates = flavor_updates
        self._background = background
        self._clock = clock

    def flavors_changed(self, service: Service) -> None:
        """A start or stop of this service may have changed what its hub may still use."""
        if (update := update_for(service)) is not None:
            self._flavor_updates.changed(update)

    def follow_progress(self, service: Service, progress: AsyncIterator[JsonDict]) -> Callable[[], None]:
        """Forward the events of a start to the hub; call what is returned when the start has ended."""
        url = service.body.env.get("JUPYTERHUB_EVENTS_URL", "")
        task = self._background.start(self._forward(service, url, progress), f"progress of {service.identity}")

        def ended() -> None:
            asyncio.get_running_loop().call_later(PROGRESS_TAIL_SECONDS, task.cancel)

        return ended

    async def _forward(self, service: Service, url: str, progress: AsyncIterator[JsonDict]) -> None:
        if not url or not await resolve(self._outpost().send_events, service.hub):
            return
        told: JsonDict | None = None
        try:
            async for event in progress:
                body = {key: _clean(value) for key, value in event.items() if key != "ready"}
                if body != told:  # some Spawners say once a second that they still wait
                    await self._post(service, url, body)
                    told = body
        except HubUnreachable as error:
            log.warning("%s - the hub does not take progress events: %s", service.identity, error)
        except Exception:  # a Spawner's progress may raise anything, and must not end its start
            log.exception("%s - progress ended", service.identity)

    async def start_failed(self, service: Service) -> bool:
        """Tell the hub that an asynchronous start failed; True when it knows, or cannot be told at all."""
        url = service.body.env.get("JUPYTERHUB_EVENTS_URL", "")
        if not url:
            return True
        time = self._clock().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        reason = html.escape(redact(service.failure or ""))
        summary, _, details = reason.partition("\n")
        message = f"<details><summary>{time}: {summary}</summary>{details.replace(chr(10), '<br>')}</details>"
        try:
            status = await self._post(service, url, {"failed": True, "progress": 100, "html_message": message})
        except HubUnreachable as error:
            log.warning("%s - the hub could not be told that the start failed: %s", service.identity, error)
            return False
        if status >= 400:
            log.warning("%s - the hub refused to hear that the start failed: HTTP %d", service.identity, status)
        return True

    async def _post(self, service: Service, url: str, body: Mapping[str, Any]) -> int:
        token, ca = service.body.api_token, service.inputs.hub_ca
        return await self._calls.post(service.hub, "events", url, token, body, ca)


def _clean(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value
