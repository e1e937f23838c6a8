"""Scheduled: have hubs set their tunnels up again when the SSH node between them and the servers has restarted.

The SSH node has a generation that changes with each restart; a service remembers in which its tunnel was made.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.background import Background
from core.config import JupyterHubOutpost
from core.errors import HubFailed, HubUnreachable, StoreUnavailable, Unreadable
from core.faults import fault_point
from core.hooks import resolve
from core.hub_calls import LATER, HubCalls
from core.model import Service
from core.ports import Clock, Store, TunnelBehind, TunnelClaim
from core.redact import hide, secrets_of
from core.threads import in_thread

log = logging.getLogger(__name__)

JOB = "tunnels"
"""The name of the schedule, and of its lease."""

_BATCH = 100
_AT_ONCE, _AT_ONCE_IN_ALL = 20, 60
"""Calls to one hub, and to all hubs."""
_MISSES = 3
"""In a row: then the rest of a hub's services waits for the next pass."""
_AWAY_SECONDS = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _MOST_FAILURES = 10, 600, 20
"""Of a hub that answers, but fails: about two hours and a half."""
_PART_OF_LEASE = 0.8
_DENIED = (401, 403)


@dataclass
class _Hub:
    """What one pass does at one hub."""

    generation: str
    deadline: datetime
    places: asyncio.Semaphore
    service_ids: Iterator[int]
    answers: bool = False
    misses: int = 0
    set_up: int = 0

    def heard(self) -> None:
        """It has answered."""
        self.answers, self.misses = True, 0


class Tunnels:
    """Compares the SSH node's generation with those of the running services."""

    def __init__(
        self,
        store: Store,
        outpost: Callable[[], JupyterHubOutpost],
        calls: HubCalls,
        background: Background,
        clock: Clock,
        *,
        lease_time: timedelta,
        budget: float,
    ) -> None:
        """``budget``: after so many seconds a pass begins no new calls; the next one goes on.

        A call has ``lease_time`` less a reserve; one that is under way outlives a cancelled pass, in ``background``.
        """
        self._store = store
        self._outpost = outpost
        self._calls = calls
        self._background = background
        self._clock = clock
        self._lease_time = lease_time
        self._budget = timedelta(seconds=budget)
        self.due = asyncio.Event()
        """Set when a pass should not wait for its time."""

    async def ssh_restarted(self, generation: str) -> bool:
        """The SSH node is of that generation now, and a pass is due; False when this was known already."""
        if not await in_thread(self._store.ssh_restarted, generation):
            return False
        await in_thread(self._store.release_tick, JOB)
        self.due.set()
        return True

    async def rebuild(self, dry_run: bool = False) -> int:
        """One pass over the services whose tunnels are gone; how many were set up again, or in a dry run would be.

        No two passes ask for the same tunnel, whoever runs them. A hub that does not answer is asked again in a later
        pass, one that fails a limited number of times, one that refuses is not.
        """
        generation = await in_thread(self._store.ssh_generation)
        if generation is None:
            return 0
        behind = [row async for row in self._behind(generation)]
        if not behind:
            return 0
        if dry_run:  # the operator's hooks are not asked: they may act
            for identity in await in_thread(self._store.identities, [row.service_id for row in behind]):
                log.info("%s - its tunnel is gone; its hub would be asked to set it up again", identity)
            return len(behind)
        unwanted = await self._unwanted(sorted({row.hub for row in behind}))
        for hub in unwanted:
            log.info("%s: its tunnels are not set up again, as the configuration says", hub)
        await in_thread(
            self._store.tunnels_set_up, [row.service_id for row in behind if row.hub in unwanted], generation
        )
        return await self._ask([row for row in behind if row.hub not in unwanted], generation)

    async def _behind(self, generation: str) -> AsyncIterator[TunnelBehind]:
        now, after = self._clock(), 0
        while rows := await in_thread(self._store.tunnels_behind, generation, now, after, _BATCH):
            for row in rows:
                yield row
            after = rows[-1].service_id

    async def _unwanted(self, hubs: list[str]) -> list[str]:
        """The hubs whose tunnels are not set up one by one. A hook that raises is not heeded, which the log says."""
        outpost = self._outpost()
        if await _answer(outpost.ssh_recreate_at_start_global, False, outpost, hubs):
            return hubs
        return [hub for hub in hubs if not await _answer(outpost.ssh_recreate_at_start, True, outpost, hub)]

    async def _ask(self, behind: Iterable[TunnelBehind], generation: str) -> int:
        """Every hub beside the others, its newest services first: old ones may know the hub by an address it had.

        What was tried in vain before comes last, so that it keeps nothing waiting.
        """
        by_hub: dict[str, list[int]] = defaultdict(list)
        for row in sorted(behind, key=lambda row: (row.failed, -row.service_id)):
            by_hub[row.hub].append(row.service_id)
        places, deadline = asyncio.Semaphore(_AT_ONCE_IN_ALL), self._clock() + self._budget
        hubs = [_Hub(generation, deadline, places, iter(service_ids)) for service_ids in by_hub.values()]
        await asyncio.gather(*map(self._ask_hub, hubs))
        return sum(hub.set_up for hub in hubs)

    async def _ask_hub(self, hub: _Hub) -> None:
        """One call alone until the hub has answered one: it opens the connection to the SSH node that all share."""
        await self._ask_in_turn(hub, first=True)
        if hub.answers:
            await asyncio.gather(*(self._ask_in_turn(hub) for _ in range(_AT_ONCE)))

    async def _ask_in_turn(self, hub: _Hub, first: bool = False) -> None:
        while hub.misses < _MISSES and self._clock() < hub.deadline and not (first and hub.answers):
            async with hub.places:
                service_id = next(hub.service_ids, None)
                if service_id is None:
                    return
                # Not cancelled with this pass: the hub would be asked a second time.
                await asyncio.wait([self._background.start(self._set_up(service_id, hub), name=f"{JOB} {service_id}")])

    async def _set_up(self, service_id: int, hub: _Hub) -> None:
        """Have one tunnel set up, unless somebody else does."""
        try:
            now = self._clock()
            until = now + self._lease_time
            claim = await in_thread(self._store.claim_tunnel, service_id, hub.generation, now, until)
            if claim is not None:
                await self._set_up_claimed(service_id, hub, claim)
        except StoreUnavailable as error:
            hub.misses = _MISSES
            log.warning("tunnels wait: %s", error)

    async def _set_up_claimed(self, service_id: int, hub: _Hub, claim: TunnelClaim) -> None:
        service: Service | None = None
        with suppress(Unreadable):  # polls name it in the log
            service = await in_thread(self._store.load, service_id)
        if service is None or not service.body.env.get("JUPYTERHUB_SETUPTUNNEL_URL"):
            await in_thread(self._store.tunnels_set_up, [service_id], hub.generation)
            return
        hide(secrets_of(service.body, service.inputs))
        fault_point("tunnel:before-call")
        try:
            status = await self._tell(service)
        except HubFailed as error:
            hub.misses += 1
            await self._later(service, hub, TunnelClaim(claim.attempts + 1, str(error)), claim)
            return
        except HubUnreachable as error:
            hub.misses += 1
            await self._away(service, hub, claim, error)
            return
        fault_point("tunnel:after-call")
        hub.heard()
        if status in LATER:
            await self._later(service, hub, TunnelClaim(claim.attempts + 1, f"HTTP {status}"), claim)
            return
        failure = f"HTTP {status}" if status >= 400 else None
        if failure is None:
            hub.set_up += 1
        elif failure != claim.failure:  # said once for the service, not at every restart
            log.warning("%s - the hub refused to set up its tunnel: %s", service.identity, _meaning(status))
        await in_thread(self._store.tunnels_set_up, [service_id], hub.generation, failure)

    async def _tell(self, service: Service) -> int:
        """The hub's answer, within the time the claim lasts. Raises ``HubUnreachable``."""
        # A server that told the hub its place by itself has none here: the hub still knows it.
        body = {"service": service.start_response} if service.start_response else {"recreate": True}
        url, ca = service.body.env["JUPYTERHUB_SETUPTUNNEL_URL"], service.inputs.hub_ca
        seconds = self._lease_time.total_seconds() * _PART_OF_LEASE
        try:
            async with asyncio.timeout(seconds):
                return await self._calls.post(service.hub, "tunnel", url, service.body.api_token, body, ca)
        except TimeoutError:
            raise HubUnreachable(f"no answer within {seconds:g} seconds") from None

    async def _away(self, service: Service, hub: _Hub, claim: TunnelClaim, error: HubUnreachable) -> None:
        if claim.failure != "away":
            log.warning("%s - its tunnel is set up later: %s", service.identity, error)
        retry_at = self._clock() + timedelta(seconds=_AWAY_SECONDS)
        later = claim._replace(failure="away")
        await in_thread(self._store.tunnel_later, service.id, hub.generation, retry_at, later)

    async def _later(self, service: Service, hub: _Hub, failed: TunnelClaim, before: TunnelClaim) -> None:
        """A hub that fails is given longer and longer, and at last up."""
        if failed.attempts >= _MOST_FAILURES:
            log.error("%s - its tunnel is given up: the hub failed %d times", service.identity, failed.attempts)
            await in_thread(self._store.tunnels_set_up, [service.id], hub.generation, failed.failure)
            return
        if failed.failure != before.failure:
            log.warning("%s - its tunnel is set up later: %s", service.identity, failed.failure)
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (failed.attempts - 1), _LONGEST_PAUSE_SECONDS)
        retry_at = self._clock() + timedelta(seconds=pause)
        await in_thread(self._store.tunnel_later, service.id, hub.generation, retry_at, failed)


def _meaning(status: int) -> str:
    if status in _DENIED:
        return f"HTTP {status}, its token is no longer valid; its user has to restart it"
    return f"HTTP {status}"


async def _answer(hook: object, otherwise: bool, *args: object) -> bool:
    try:
        return bool(await resolve(hook, *args))
    except Exception:  # an operator's hook may raise anything
        log.exception("a hook about recreating tunnels failed; it counts as %s", otherwise)
        return otherwise
