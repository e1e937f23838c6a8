"""The object graph's shared part: what the operations on services are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, Unpack

from core.config import JupyterHubOutpost
from core.errors import StoreUnavailable
from core.flavors import Limits
from core.model import JsonDict, Service, Status
from core.notify import Notifier
from core.ports import Changes, Clock, Dispatcher, Lease, Meter, Store
from core.threads import in_thread

BEAT_SECONDS = 1.0
"""How often a start looks whether somebody asked to stop it."""


class LimitsOf(Protocol):
    """What applies to one start; raises ``NotAllowed``."""

    def __call__(self, hub: str, flavor: str | None, authentication: JsonDict | None) -> Awaitable[Limits]: ...


_PATIENCE_SECONDS = (0.5, 1, 2, 4, 8, 15, 30)


@dataclass(frozen=True)
class Parts:
    """What starting, polling and stopping need of the rest of Outpost."""

    store: Store
    outpost: Callable[[], JupyterHubOutpost]
    limits_of: LimitsOf
    notifier: Notifier
    meter: Meter
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

    async def swap_patiently(self, service: Service, **changes: Unpack[Changes]) -> Service | None:
        """A swap that outlasts a database that is away for a minute, for what must not be done again.

        Raises ``StoreUnavailable`` when it stays away.
        """
        for pause in _PATIENCE_SECONDS:
            try:
                swapped = await in_thread(self.store.swap, service, **changes)
            except StoreUnavailable:
                await asyncio.sleep(pause)
            else:
                return swapped or await self._own_swap(service, changes)
        return await in_thread(self.store.swap, service, **changes)

    async def _own_swap(self, service: Service, changes: Changes) -> Service | None:
        """The row, if an earlier try has changed it although its answer was lost."""
        current = await in_thread(self.store.load, service.id)
        if current is None or current.version != service.version + 1:
            return None
        expected = replace(service, **changes, version=current.version, last_update=current.last_update)
        return current if current == replace(expected, lease_until=current.lease_until) else None

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
        pause = min(BEAT_SECONDS, self.lease_time.total_seconds() / 4)
        while True:
            await asyncio.sleep(pause)
            with suppress(StoreUnavailable):  # while the database is away, nobody else can take the row either
                if self.clock() >= extend_at:
                    owner, until = self.lease()
                    if not await in_thread(self.store.extend_lease, service.id, owner, until):
                        return
                    extend_at = self.clock() + self.lease_time / 4
                if await in_thread(self.store.status, service.id) != service.status:
                    return
