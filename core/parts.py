"""The object graph's shared part: what the operations on services are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from core.config import JupyterHubOutpost
from core.flavors import Limits
from core.model import JsonDict, Service, Status
from core.notify import Notifier
from core.ports import Clock, Dispatcher, Lease, Store
from core.threads import in_thread

BEAT_SECONDS = 1.0
"""How often a start looks whether somebody asked to stop it."""


class LimitsOf(Protocol):
    """What applies to one start; raises ``NotAllowed``."""

    def __call__(self, hub: str, flavor: str | None, authentication: JsonDict | None) -> Awaitable[Limits]: ...


@dataclass(frozen=True)
class Parts:
    """What starting, polling and stopping need of the rest of Outpost."""

    store: Store
    outpost: Callable[[], JupyterHubOutpost]
    limits_of: LimitsOf
    notifier: Notifier
    dispatcher: Dispatcher
    clock: Clock
    owner: str
    """Names this process in leases; no two processes share it."""
    lease_time: timedelta
    """After this time without a sign of life somebody else may carry a row on."""

    def lease(self) -> Lease:
        """A lease of this process from now on."""
        return Lease(self.owner, self.clock() + self.lease_time)

    async def claim(self, service: Service, status: Status) -> Service | None:
        """Take a row to carry it on in that status; None when somebody was faster."""
        owner, until = self.lease()
        return await in_thread(
            self.store.swap, service, status=status, lease_owner=owner, lease_until=until, retry_at=None
        )

    def may_take(self, service: Service) -> bool:
        """Is nobody else carrying the row on?"""
        return service.lease_until is None or service.lease_until <= self.clock()

    @asynccontextmanager
    async def beating(self, service: Service) -> AsyncIterator[asyncio.Task[None]]:
        """Keep the lease while the block runs. The task ends when the row has left its status, or the lease is lost."""
        task = asyncio.create_task(self._beat(service), name=f"lease of {service.identity}")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _beat(self, service: Service) -> None:
        extend_at = self.clock()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if self.clock() >= extend_at:
                owner, until = self.lease()
                extend_at = self.clock() + self.lease_time / 4
                if not await in_thread(self.store.extend_lease, service.id, owner, until):
                    return
            if await in_thread(self.store.status, service.id) != service.status:
                return
