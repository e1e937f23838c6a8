"""One start of one service, from its claimed row to a running server or to nothing at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from core import driving
from core.errors import ServiceNotFound, StartCancelled, StartFailed, StoreUnavailable, sentence
from core.faults import fault_point
from core.logs import service_logger
from core.model import Service, Status
from core.parts import Parts
from core.redact import redact
from core.spawners.build import build
from core.stopping import Stopper, retry_after
from core.threads import in_thread

_CANCEL_SECONDS = 10.0
_MOST_TRIES = 8


class Start:
    """Carries a ``starting`` row of this process on. It is used once.

    Whatever happens, the row is afterwards ``running``, or gone, or ``stopping`` and due to be tried again.
    """

    def __init__(self, parts: Parts, stopper: Stopper, service: Service, tell_failure: bool) -> None:
        """``tell_failure``: the hub no longer waits for the answer, so a failure is sent as an event."""
        self._parts = parts
        self._stopper = stopper
        self._service = service
        self._tell_failure = tell_failure
        self._log = service_logger(str(service.identity))
        self._is_up = False

    async def run(self) -> str:
        """Start the server; where it runs. Raises what the Spawner raised, or ``StartCancelled``."""
        spawner: Any = None
        began = self._parts.clock()
        try:
            spawner = build(self._service, self._parts.outpost())
            async with self._parts.beating(self._service) as lease:
                response = await self._until_stopped(self._drive(spawner), lease)
        except Exception as error:
            self._ended("cancelled" if isinstance(error, StartCancelled) else "failed", began)
            await self._give_up(spawner, error)
            raise
        finally:
            if spawner is not None:
                await spawner.close()
        self._ended("running", began)
        self._parts.notifier.flavors_changed(self._service)
        return response

    def _ended(self, outcome: Literal["running", "failed", "cancelled"], began: datetime) -> None:
        seconds = (self._parts.clock() - began).total_seconds()
        self._parts.meter.start_ended(self._service.hub, outcome, seconds)

    async def _until_stopped(self, work: Any, lease: asyncio.Task[None]) -> str:
        """The result of ``work``, unless the row is taken away from it meanwhile."""
        task: asyncio.Task[str] = asyncio.create_task(work)
        try:
            await asyncio.wait({task, lease}, return_when=asyncio.FIRST_COMPLETED)
            if task.done() or self._is_up:  # then the last swap decides, which may be what has ended the lease
                return await task
            raise self._cancelled()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_SECONDS)

    async def _drive(self, spawner: Any) -> str:
        inputs = self._service.inputs
        fault_point("start:claimed")
        if spawner.lists_own:
            spawner.outpost_id = await in_thread(self._parts.store.outpost_id)
        await driving.prepare(spawner, self._service)
        if state := driving.state_of(spawner):
            await self._swap(state=state)
        fault_point("start:before-spawn")
        progress_ended = self._parts.notifier.follow_progress(self._service, spawner.progress())
        try:
            returned = await driving.start(spawner, inputs)
        finally:
            progress_ended()
        fault_point("start:after-spawn")
        response = await driving.response_of(spawner, returned, self._parts.outpost())
        self._is_up = True
        end_date = self._parts.clock() + timedelta(seconds=inputs.runtime) if inputs.runtime else None
        await self._swap(
            status=Status.RUNNING,
            state=driving.state_of(spawner),
            start_response=response,
            inputs=inputs.after_start(),
            end_date=end_date,
            lease_owner=None,
            lease_until=None,
        )
        fault_point("start:running")
        return response

    async def _swap(self, **changes: Any) -> None:
        swapped = await self._parts.swap_patiently(self._service, **changes)
        if swapped is None:
            raise self._cancelled()
        self._service = swapped

    def _cancelled(self) -> StartCancelled:
        return StartCancelled("The server was stopped while it was starting")

    async def _give_up(self, spawner: Any, error: Exception) -> None:
        """Take away what the start has made, and the row."""
        if not isinstance(error, StartCancelled):
            self._log.warning("start failed", exc_info=error)
        fault_point("start:failed")
        try:
            stopping = await self._stopping_row(spawner, error)
        except StoreUnavailable as away:
            self._log.warning("the failed start is recorded by recovery: %s", away)
            stopping = None
        fault_point("start:failure-stored")
        try:
            if stopping is not None and spawner is not None:
                await self._stopper.run(stopping, spawner)
            elif stopping is not None:  # the Spawner could not even be built, so it has made nothing
                await self._stopper.finish(stopping)
            elif spawner is not None:
                await self._stop_without_row(spawner)
        except Exception as left:  # noqa: BLE001  # the start's own error is the one to tell
            self._log.warning("after the failed start: %s", left)

    async def _stop_without_row(self, spawner: Any) -> None:
        """Nobody else knows what this object has made, so nobody else would try again.

        Where there is a row, somebody does; and a successor's resource may have the same name.
        """
        for attempts in range(1, _MOST_TRIES + 1):
            try:
                await driving.stop(spawner)
            except Exception as error:  # noqa: BLE001  # a Spawner may raise anything
                self._log.warning("what a start without a row has made is not stopped yet: %s", error)
            else:
                return
            await asyncio.sleep(retry_after(attempts).total_seconds())
            with suppress(ServiceNotFound):
                await in_thread(self._parts.store.find, self._service.identity)
                return

    async def _stopping_row(self, spawner: Any, error: Exception) -> Service | None:
        """The row as ``stopping`` and ours; None when it is gone or somebody else's."""
        parts, owner_until = self._parts, self._parts.lease()
        failure = None
        if self._tell_failure and not isinstance(error, StartCancelled):
            failure = redact(sentence(error))
        changes: dict[str, Any] = {
            "status": Status.STOPPING,
            "attempts": 0,
            "lease_owner": owner_until.owner,
            "lease_until": owner_until.until,
        }
        if spawner is not None:
            with suppress(StartFailed):
                changes["state"] = driving.state_of(spawner)
        if failure:
            changes["failure"] = failure
        swapped = await in_thread(parts.store.swap, self._service, **changes)
        if swapped is not None:
            return swapped
        current = await in_thread(parts.store.load, self._service.id)
        if current is None or current.lease_owner not in (None, parts.owner):
            return None
        return await in_thread(parts.store.swap, current, **changes)
