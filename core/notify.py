"""What a hub is told, and when. Nothing here fails, blocks or slows a start or stop."""

from __future__ import annotations

import asyncio
import html
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.hooks import resolve
from core.model import JsonDict, Service
from core.ports import Clock, HubClient
from core.redact import redact

log = logging.getLogger(__name__)

PROGRESS_TAIL_SECONDS = 5.0
"""How long events that a Spawner had ready when its start ended may still be on their way."""

_RETRY_SECONDS = (1, 2, 5, 10, 30)

_COLLECT_SECONDS = 0.05
"""Changes that come within this time go with one call."""

HubUrl = tuple[str, str]
Pause = Callable[[float], Awaitable[None]]


class Notifier:
    """Tells hubs about progress, failed starts and flavors."""

    def __init__(
        self,
        client: HubClient,
        outpost: Callable[[], JupyterHubOutpost],
        flavors_of: Callable[[str], Awaitable[JsonDict]],
        background: Background,
        clock: Clock,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._client = client
        self._outpost = outpost
        self._flavors_of = flavors_of
        self._background = background
        self._clock = clock
        self._pause = pause
        self._flavors_due: dict[HubUrl, Service] = {}
        self._telling: set[HubUrl] = set()

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
        try:
            async for event in progress:
                body = {key: _clean(value) for key, value in event.items() if key != "ready"}
                await self._post(service, url, body)
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

    def flavors_changed(self, service: Service) -> None:
        """Tell the service's hub its flavors, soon; what comes meanwhile goes with the same call."""
        url = service.body.env.get("JUPYTERHUB_FLAVORS_UPDATE_URL", "")
        if not url:
            return
        key = (service.hub, url)
        self._flavors_due[key] = service
        if key not in self._telling:
            self._telling.add(key)
            self._background.start(self._tell_flavors(key), f"flavors of {service.hub}")

    async def _tell_flavors(self, key: HubUrl) -> None:
        """Call after call until nothing is due any more; each tells what is true at its moment."""
        retries = iter(_RETRY_SECONDS)
        try:
            await self._pause(_COLLECT_SECONDS)
            while (service := self._flavors_due.pop(key, None)) is not None:
                if await self._tell_flavors_once(service, key[1]):
                    retries = iter(_RETRY_SECONDS)
                    await self._pause(_COLLECT_SECONDS)
                elif (wait := next(retries, None)) is not None:
                    self._flavors_due.setdefault(key, service)
                    await self._pause(wait)
                else:
                    log.warning("hub %s - its flavors could not be updated; the next change tries again", key[0])
        finally:
            self._telling.discard(key)

    async def _tell_flavors_once(self, service: Service, url: str) -> bool:
        try:
            token = service.body.env.get("JUPYTERHUB_FLAVORS_UPDATE_TOKEN") or await resolve(
                self._outpost().flavors_update_token, service.hub
            )
        except Exception as error:  # noqa: BLE001  # an operator's hook may raise anything: that only logs
            log.warning("hub %s - flavors_update_token: %s; flavors are not sent", service.hub, error)
            return True
        try:
            flavors = await self._flavors_of(service.hub)
            status = await self._post(service, url, flavors, token=token)
        except HubUnreachable as error:
            log.info("hub %s - flavors not delivered yet: %s", service.hub, error)
            return False
        if status >= 400:
            log.warning("hub %s - refused its flavors: HTTP %d", service.hub, status)
        return True

    async def _post(self, service: Service, url: str, body: Mapping[str, Any], token: str | None = None) -> int:
        outpost = self._outpost()
        options = await resolve(outpost.request_kwargs, *([outpost] if callable(outpost.request_kwargs) else []))
        token = service.body.env.get("JUPYTERHUB_API_TOKEN", "") if token is None else token
        return await self._client.post(url, token, body, ca=service.inputs.hub_ca, options=options)


def _clean(value: Any) -> Any:
    return redact(value) if isinstance(value, str) else value
