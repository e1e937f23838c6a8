"""Start, poll and stop: the state machine of one service.

(admitted) pending -> starting -> running -> stopping -> (row deleted)
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from core import driving, quota
from core.errors import NotAllowed, QuotaExceeded, ServiceExists, ServiceNotFound, StopFailed, Unreadable
from core.faults import fault_point
from core.flavors import Limits
from core.hooks import resolve
from core.model import Identity, Inputs, JsonDict, NewService, Service, Status, Usage
from core.parts import Parts
from core.ports import Changes
from core.redact import hide, secrets_of
from core.spawners.adapter import OWN_STATE
from core.spawners.build import spawner_of
from core.starting import Start
from core.stopping import Stopper
from core.threads import in_thread

log = logging.getLogger(__name__)

_WAIT_FOR_ANOTHER = timedelta(seconds=driving.STOP_SECONDS)
_LOOK_AGAIN_SECONDS = 0.2
_EXIT_CODE = "exit_code"


@dataclass(frozen=True)
class Polled:
    """A poll's answer: None while the server runs, else its exit code; and its last log lines."""

    status: int | None
    logs: list[str] = field(default_factory=list)


class Lifecycle:
    """What hubs ask for. Every method may be called in any process, at any moment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stopper = Stopper(parts)

    async def start(self, new: NewService, authentication: JsonDict | None, wait: bool) -> str:
        """Admit a service and start it, or with ``wait=False`` have it started; where it runs.

        Raises ``NotAllowed``, ``QuotaExceeded``, ``ServiceExists``, or what the Spawner raised.
        """
        hide(secrets_of(new.body, new.inputs))
        new = await self._with_allowed_overrides(new)
        limits = await self._parts.limits_of(new.identity.hub, new.flavor, authentication)
        if limits.runtime is not None:
            new = replace(new, inputs=replace(new.inputs, runtime=limits.runtime.total_seconds()))
        lease = self._parts.lease() if wait else None
        check = None if limits.is_unlimited else partial(self._check, new.identity.hub, limits)
        try:
            service = await in_thread(self._parts.store.admit, new, check, lease)
        except ServiceExists:
            await self._clear_if_ended(new.identity)
            service = await in_thread(self._parts.store.admit, new, check, lease)
        fault_point("start:admitted")
        self._parts.notifier.flavors_changed(service)
        if wait:
            return await self._start(service, tell_failure=False)
        await self._parts.dispatcher.wake([service.id])
        return ""

    def _check(self, hub: str, limits: Limits, usage: Usage) -> None:
        try:
            quota.check(limits, usage)
        except QuotaExceeded as error:
            self._parts.meter.refused(hub, limits.flavor, error.limit)
            raise

    async def _with_allowed_overrides(self, new: NewService) -> NewService:
        misc, outpost = new.body.misc, self._parts.outpost()
        if not misc or await resolve(outpost.allow_override, new.identity.hub, dict(misc)):
            return new
        if outpost.override_denied == "ignore":
            return replace(new, body=replace(new.body, misc={}))
        keys = ", ".join(sorted(misc))
        raise NotAllowed(f"This Outpost does not allow {new.identity.hub} to override: {keys}")

    async def _clear_if_ended(self, identity: Identity) -> None:
        """Make room for a start when the service of that identity has ended. Raises ``ServiceExists``."""
        service = await in_thread(self._parts.store.find, identity)
        ended = service.status is Status.RUNNING and (await self._poll(service, False)).status is not None
        if not ended:
            raise ServiceExists(f"The server {identity.name!r} ({identity.start_id}) is already {service.status}")
        await self.stop(identity, {}, wait=True)

    async def _start(self, service: Service, tell_failure: bool) -> str:
        return await Start(self._parts, self._stopper, service, tell_failure).run()

    async def poll(self, identity: Identity, auth_state: dict[str, str], collect_logs: bool = False) -> Polled:
        """Has the server ended? Only positive evidence says so; trouble on the way is None, and logged.

        Raises ``ServiceNotFound``.
        """
        try:
            service = await in_thread(self._parts.store.find, identity)
        except Unreadable as error:
            log.error("%s", error)
            return Polled(None)
        service = replace(service, inputs=replace(service.inputs, auth_state=auth_state))
        hide(secrets_of(service.body, service.inputs))
        if service.status in (Status.PENDING, Status.STOPPING):
            return Polled(None)
        return await self._poll(service, collect_logs)

    async def _poll(self, service: Service, collect_logs: bool) -> Polled:
        outpost = self._parts.outpost()
        is_starting = service.status is Status.STARTING
        if is_starting and (outpost.poll_requires_state or not service.state):
            return Polled(None)
        known = (service.state.get(OWN_STATE) or {}).get(_EXIT_CODE)
        if known is not None and not collect_logs:
            self._parts.meter.polled(service.hub, "ended")
            return Polled(known)
        try:
            async with spawner_of(service, outpost) as spawner:
                status = await (spawner.poll_starting() if is_starting else driving.poll(spawner))
                if known is None and status is not None and not is_starting:
                    fault_point("poll:ended")
                    await self._remember_exit(service, status)
                logs = await driving.logs(spawner) if collect_logs or status is not None else []
        except Exception:  # unreachable infrastructure is no evidence that a server ended
            log.exception("%s - could not be polled", service.identity)
            self._parts.meter.polled(service.hub, "unknown")
            return Polled(None)
        status = status if known is None else known
        self._parts.meter.polled(service.hub, "running" if status is None else "ended")
        return Polled(status, logs)

    async def _remember_exit(self, service: Service, status: int) -> None:
        """Only the first poll after a process has ended can learn its exit code; later ones tell it too."""
        notes = service.state.get(OWN_STATE) or {}
        state = service.state | {OWN_STATE: notes | {_EXIT_CODE: status}}
        await in_thread(self._parts.store.swap, service, state=state)

    async def stop(
        self, identity: Identity, auth_state: dict[str, str], wait: bool, collect_logs: bool = False
    ) -> list[str]:
        """Stop a service, at whatever point of its life; its last log lines when asked for.

        With ``wait=False`` it is only marked, and stopped soon. Raises ``ServiceNotFound``, ``StopFailed``.
        """
        service: Service | None = await in_thread(self._parts.store.find, identity)
        while service is not None:
            hide(secrets_of(service.body, Inputs(auth_state=auth_state)))
            mine = wait and self._parts.may_take(service)
            stopping = await self._mark_stopping(service, auth_state, mine)
            if stopping is not None:
                return await self._finish_stop(stopping, mine, wait, collect_logs)
            service = await in_thread(self._parts.store.load, service.id)
        return []

    async def _mark_stopping(self, service: Service, auth_state: dict[str, str], mine: bool) -> Service | None:
        """The row as ``stopping``, which frees its quota, and claimed if ``mine``; None when it changed meanwhile."""
        changes = Changes()
        if mine:
            owner, until = self._parts.lease()
            changes = Changes(lease_owner=owner, lease_until=until, retry_at=None)
        if service.status is Status.STOPPING:
            return await in_thread(self._parts.store.swap, service, **changes) if mine else service
        inputs = replace(service.inputs, auth_state=auth_state) if auth_state else service.inputs
        changes |= Changes(status=Status.STOPPING, inputs=inputs, attempts=0)
        marked = await in_thread(self._parts.store.swap, service, **changes)
        if marked is not None:
            fault_point("stop:marked")
            self._parts.notifier.flavors_changed(marked)
        return marked

    async def _finish_stop(self, service: Service, mine: bool, wait: bool, collect_logs: bool) -> list[str]:
        if mine:
            return await self._stopper.run(service, collect_logs=collect_logs)
        if wait:
            await self._wait_until_gone(service)
        else:
            await self._parts.dispatcher.wake([service.id])
        return []

    async def _wait_until_gone(self, service: Service) -> None:
        """Somebody else, usually the start itself, is taking the server away."""
        deadline = self._parts.clock() + self._parts.lease_time + _WAIT_FOR_ANOTHER
        while self._parts.clock() < deadline:
            current = await in_thread(self._parts.store.load, service.id)
            if current is None:
                return
            if current.attempts > service.attempts:
                break
            if self._parts.may_take(current) and (mine := await self._parts.claim(current, Status.STOPPING)):
                await self._stopper.run(mine)
                return
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        raise StopFailed("The server is still being stopped; Outpost goes on with it")

    async def carry_on(self, service_id: int) -> None:
        """Do what a row waits for: queues and the recover schedule call this. Safe to repeat and to overlap."""
        service = await in_thread(self._parts.store.load, service_id)
        if service is None or service.status is Status.RUNNING or not self._parts.may_take(service):
            return
        hide(secrets_of(service.body, service.inputs))
        if service.status is Status.PENDING:
            mine = await self._parts.claim(service, Status.STARTING)
            if mine is not None:
                with suppress(Exception):  # logged and told to the hub already
                    await self._start(mine, tell_failure=True)
            return
        if service.status is Status.STARTING:
            service = await self._cut_off(service)
        if service is not None and (mine := await self._parts.claim(service, Status.STOPPING)):
            with suppress(StopFailed):  # logged, and due again
                await self._stopper.run(mine)

    async def _cut_off(self, service: Service) -> Service | None:
        """A start whose process died: it has failed, and its hub is told so."""
        failure = "The start was cut off because Outpost was restarted; please start the server again"
        cut = await in_thread(self._parts.store.swap, service, status=Status.STOPPING, failure=failure, attempts=0)
        fault_point("recover:cut-off")
        if cut is not None:
            self._parts.meter.start_ended(service.hub, "failed", None)
        return cut

    async def expire(self, service_id: int) -> None:
        """Have a service stopped whose end date has passed. Safe to repeat and to overlap."""
        service = await in_thread(self._parts.store.load, service_id)
        now = self._parts.clock()
        if service is None or service.status is not Status.RUNNING or not service.end_date or service.end_date > now:
            return
        hide(secrets_of(service.body, service.inputs))
        log.info("%s - its run time is over", service.identity)
        self._parts.meter.expired(service.hub)
        fault_point("expire:found")
        with suppress(ServiceNotFound):  # somebody else has stopped it meanwhile
            await self.stop(service.identity, {}, wait=False)
