"""One stop of one service: until the resource is gone, the row stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from core import driving
from core.errors import StopFailed
from core.faults import fault_point
from core.logs import service_logger
from core.model import JsonDict, Service
from core.parts import Parts
from core.ports import Changes
from core.spawners.adapter import OWN_STATE, StatelessSpawner
from core.spawners.build import spawner_of
from core.threads import in_thread

_GONE = "gone"
"""Outpost's note that a server is stopped, and only its hub does not know yet."""
_FIRST_RETRY = timedelta(seconds=5)
_LONGEST_RETRY = timedelta(minutes=10)
_MOST_TELLS = 12
"""With these pauses a hub can be away for more than an hour and still learn of a failed start."""


def retry_after(attempts: int) -> timedelta:
    """The pause after that many failed attempts: doubled each time, ten minutes at most."""
    doublings: int = 2 ** min(attempts - 1, 20)
    return min(_FIRST_RETRY * doublings, _LONGEST_RETRY)


class Stopper:
    """Carries ``stopping`` rows of this process on."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(
        self, service: Service, spawner: StatelessSpawner | None = None, collect_logs: bool = False
    ) -> list[str]:
        """Stop the server and delete its row; its last log lines when asked for.

        ``spawner`` is the live object of a start that has just failed. Raises ``StopFailed``: the row then
        stays, with ``attempts`` and ``retry_at``.
        """
        if _notes(service).get(_GONE):
            await self.finish(service)
            return []
        log = service_logger(str(service.identity))
        began = self._parts.clock()
        try:
            async with self._parts.beating(service):
                logs = await self._stop(service, spawner, collect_logs)
        except Exception as error:
            log.warning("stop failed", exc_info=error)
            self._ended(service, "failed", began)
            fault_point("stop:failed")
            await self._again(service)
            if isinstance(error, StopFailed):
                raise
            raise StopFailed(f"The server could not be stopped and is tried again: {error}") from error
        self._ended(service, "stopped", began)
        fault_point("stop:after-stop")
        await self.finish(service)
        return logs

    def _ended(self, service: Service, outcome: Literal["stopped", "failed"], began: datetime) -> None:
        self._parts.meter.stop_ended(service.hub, outcome, (self._parts.clock() - began).total_seconds())

    async def finish(self, service: Service) -> None:
        """Nothing runs any more: tell the hub of a failed start, and delete the row."""
        if service.failure and not await self._told(service):
            await self._again(service, is_gone=True)
            return
        fault_point("stop:before-delete")
        await in_thread(self._parts.store.delete, service)
        fault_point("stop:deleted")
        self._parts.notifier.flavors_changed(service)

    async def _stop(self, service: Service, spawner: Any, collect_logs: bool) -> list[str]:
        if spawner is not None:
            await driving.stop(spawner)
            return []
        async with spawner_of(service, self._parts.outpost()) as rebuilt:
            logs = await driving.logs(rebuilt) if collect_logs else []
            fault_point("stop:before-stop")
            await driving.stop(rebuilt)
            return logs

    async def _told(self, service: Service) -> bool:
        return await self._parts.notifier.start_failed(service) or service.attempts >= _MOST_TELLS

    async def _again(self, service: Service, is_gone: bool = False) -> None:
        attempts = service.attempts + 1
        retry_at = self._parts.clock() + retry_after(attempts)
        changes = Changes(attempts=attempts, retry_at=retry_at, lease_owner=None, lease_until=None)
        if is_gone:
            changes["state"] = service.state | {OWN_STATE: _notes(service) | {_GONE: True}}
        await in_thread(self._parts.store.swap, service, **changes)


def _notes(service: Service) -> JsonDict:
    return dict(service.state.get(OWN_STATE) or {})
