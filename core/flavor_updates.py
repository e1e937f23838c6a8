"""Hubs are told their flavors whenever these may have changed. No start or stop waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubUnreachable
from core.hooks import resolve
from core.hub_calls import HubCalls
from core.model import JsonDict, Service

log = logging.getLogger(__name__)

RETRY_SECONDS = (1, 2, 5, 10, 30)
"""The pauses after which a hub that does not answer is tried again."""

_COLLECT_SECONDS = 0.05
"""Changes that come within this time go with one call."""

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class FlavorUpdate:
    """A hub that wants to know its flavors: where, with which token (empty: ``flavors_update_token``), and its CA."""

    hub: str
    url: str
    token: str
    ca: str


def update_for(service: Service) -> FlavorUpdate | None:
    """Whom a change of this service concerns; None when its hub does not want to be told."""
    env = service.body.env
    if not (url := env.get("JUPYTERHUB_FLAVORS_UPDATE_URL")):
        return None
    return FlavorUpdate(service.hub, url, env.get("JUPYTERHUB_FLAVORS_UPDATE_TOKEN", ""), service.inputs.hub_ca)


class FlavorUpdates(Protocol):
    """Sees to it that a hub is told, soon and outside of this request."""

    def changed(self, update: FlavorUpdate) -> None: ...


class FlavorTeller:
    """Tells one hub its flavors, as they are at that moment."""

    def __init__(
        self,
        calls: HubCalls,
        outpost: Callable[[], JupyterHubOutpost],
        flavors_of: Callable[[str], Awaitable[JsonDict]],
    ) -> None:
        self._calls = calls
        self._outpost = outpost
        self._flavors_of = flavors_of

    async def tell(self, update: FlavorUpdate) -> bool:
        """One call; False when it should be tried again. A hook that raises, or a hub that refuses, only logs."""
        try:
            token = update.token or await resolve(self._outpost().flavors_update_token, update.hub)
        except Exception as error:  # noqa: BLE001  # an operator's hook may raise anything: that only logs
            log.warning("hub %s - flavors_update_token: %s; flavors are not sent", update.hub, error)
            return True
        try:
            flavors = await self._flavors_of(update.hub)
            status = await self._calls.post(update.hub, "flavors", update.url, token, flavors, update.ca)
        except HubUnreachable as error:
            log.info("hub %s - flavors not delivered yet: %s", update.hub, error)
            return False
        if status >= 400:
            log.warning("hub %s - refused its flavors: HTTP %d", update.hub, status)
        return True


class InProcessUpdates:
    """Tells hubs beside the requests of a long-lived process; implements :class:`FlavorUpdates`."""

    def __init__(self, teller: FlavorTeller, background: Background, pause: Pause = asyncio.sleep) -> None:
        self._teller = teller
        self._background = background
        self._pause = pause
        self._due: dict[tuple[str, str], FlavorUpdate] = {}
        self._telling: set[tuple[str, str]] = set()

    def changed(self, update: FlavorUpdate) -> None:
        """Tell the hub, soon; what comes meanwhile goes with the same call."""
        key = (update.hub, update.url)
        self._due[key] = update
        if key not in self._telling:
            self._telling.add(key)
            self._background.start(self._tell(key), f"flavors of {update.hub}")

    async def _tell(self, key: tuple[str, str]) -> None:
        """Call after call until nothing is due any more; each tells what is true at its moment."""
        retries = iter(RETRY_SECONDS)
        try:
            await self._pause(_COLLECT_SECONDS)
            while (update := self._due.pop(key, None)) is not None:
                if await self._teller.tell(update):
                    retries = iter(RETRY_SECONDS)
                    await self._pause(_COLLECT_SECONDS)
                elif (wait := next(retries, None)) is not None:
                    self._due.setdefault(key, update)
                    await self._pause(wait)
                else:
                    log.warning("hub %s - its flavors could not be updated; the next change tries again", key[0])
        finally:
            self._telling.discard(key)
