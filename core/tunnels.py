"""Scheduled: have hubs set their tunnels up again when the SSH node between them and the servers has restarted.

The SSH node has a generation that changes with each restart; a service remembers in which its tunnel was made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress

from core.config import JupyterHubOutpost
from core.errors import HubUnreachable, Unreadable
from core.faults import fault_point
from core.hooks import resolve
from core.hub_calls import HubCalls
from core.model import Service
from core.ports import Clock, Store
from core.redact import hide, secrets_of
from core.threads import in_thread

log = logging.getLogger(__name__)

_BATCH = 100
_AT_ONCE = 20


class Tunnels:
    """Compares the SSH node's generation with those of the running services."""

    def __init__(
        self, store: Store, outpost: Callable[[], JupyterHubOutpost], calls: HubCalls, clock: Clock, budget: float
    ) -> None:
        """``budget``: after so many seconds a pass begins no new calls; the next one goes on."""
        self._store = store
        self._outpost = outpost
        self._calls = calls
        self._clock = clock
        self._budget = budget

    async def rebuild(self, dry_run: bool = False) -> int:
        """One pass over the services whose tunnels are gone; how many were set up again, or in a dry run would be.

        A hub that does not answer is asked again in the next pass, one that refuses is not.
        """
        generation = await in_thread(self._store.ssh_generation)
        if generation is None:
            return 0
        behind = [row async for row in self._behind(generation)]
        if not behind:
            return 0
        if dry_run:  # the operator's hooks are not asked: they may act
            for identity in await in_thread(self._store.identities, [service_id for service_id, _ in behind]):
                log.info("%s - its tunnel is gone; its hub would be asked to set it up again", identity)
            return len(behind)
        wanted = await self._wanted(sorted({hub for _, hub in behind}))
        ours = [service_id for service_id, hub in behind if hub in wanted]
        await in_thread(self._store.tunnels_set_up, [row for row, hub in behind if hub not in wanted], generation)
        return await self._set_up_all(ours, generation)

    async def _behind(self, generation: str) -> AsyncIterator[tuple[int, str]]:
        after = 0
        while rows := await in_thread(self._store.tunnels_behind, generation, after, _BATCH):
            for row in rows:
                yield row
            after = rows[-1][0]

    async def _wanted(self, hubs: list[str]) -> set[str]:
        """The hubs whose tunnels are set up one by one. A hook that raises says so in the log, and counts as yes."""
        outpost = self._outpost()
        if await _answer(outpost.ssh_recreate_at_start_global, False, outpost, hubs):
            return set()
        return {hub for hub in hubs if await _answer(outpost.ssh_recreate_at_start, True, outpost, hub)}

    async def _set_up_all(self, service_ids: Iterable[int], generation: str) -> int:
        deadline = self._clock().timestamp() + self._budget
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(service_id: int) -> bool:
            async with places:
                return self._clock().timestamp() < deadline and await self._set_up(service_id, generation)

        return sum(await asyncio.gather(*(one(service_id) for service_id in service_ids)))

    async def _set_up(self, service_id: int, generation: str) -> bool:
        """Have one tunnel set up; True when there is nothing more to do for it in this generation."""
        service: Service | None = None
        with suppress(Unreadable):  # polls name it in the log
            service = await in_thread(self._store.load, service_id)
        if service is not None:
            hide(secrets_of(service.body, service.inputs))
            fault_point("tunnel:before-call")
            if not await self._tell(service):
                return False
            fault_point("tunnel:after-call")
        await in_thread(self._store.tunnels_set_up, [service_id], generation)
        return True

    async def _tell(self, service: Service) -> bool:
        url = service.body.env.get("JUPYTERHUB_SETUPTUNNEL_URL", "")
        if not url:
            return True
        # A server that told the hub its place by itself has none here: the hub still knows it.
        body = {"service": service.start_response} if service.start_response else {"recreate": True}
        try:
            status = await self._calls.post(url, service.body.api_token, body, service.inputs.hub_ca)
        except HubUnreachable as error:
            log.info("%s - its tunnel is set up later: %s", service.identity, error)
            return False
        if status >= 400:
            log.warning("%s - the hub refused to set up its tunnel: HTTP %d", service.identity, status)
        return True


async def _answer(hook: object, otherwise: bool, *args: object) -> bool:
    try:
        return bool(await resolve(hook, *args))
    except Exception:  # an operator's hook may raise anything
        log.exception("a hook about recreating tunnels failed; it counts as %s", otherwise)
        return otherwise
