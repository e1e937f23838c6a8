"""Scheduled: servers of this Outpost that no row knows are reported, and taken away where that is wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from core.config import JupyterHubOutpost
from core.driving import within
from core.errors import StoreUnavailable
from core.ports import Clock, Store
from core.spawners.build import listing_spawner
from core.spawners.own import OwnServer
from core.threads import in_thread

log = logging.getLogger(__name__)

MIN_AGE = timedelta(minutes=30)
"""A younger server is left alone, whatever the database says."""

_LIST_SECONDS = 60.0
_REMOVE_SECONDS = 30.0
_MOST_AT_ONCE = 100


class Orphans:
    """Compares the servers with this Outpost's label with the rows.

    A row is there before its server, and until its server is known to be gone. So a server that was listed before
    the rows were read, is not among them, and is still there afterwards, will never have one.
    """

    def __init__(self, store: Store, outpost: Callable[[], JupyterHubOutpost], clock: Clock) -> None:
        self._store = store
        self._outpost = outpost
        self._clock = clock
        self._told: set[str] = set()

    async def look(self, delete: bool, dry_run: bool = False) -> int:
        """One pass; how many orphans there are.

        Each is reported once by this process; with ``delete`` those of at least ``MIN_AGE`` are taken away.
        A dry run only logs. Infrastructure that does not answer has no orphans. Raises ``StoreUnavailable``.
        """
        async with listing_spawner(self._outpost()) as spawner:
            if spawner is None:
                return 0
            try:
                orphans = await self._find(spawner)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # a Spawner may raise anything
                log.warning("servers without a row cannot be looked for now: %s", _sentence(error))
                return 0
            self._told &= {server.uid for server in orphans}
            for server in orphans[:_MOST_AT_ONCE]:
                await self._see_to(server, spawner, delete, dry_run)
            return len(orphans)

    async def _find(self, spawner: Any) -> list[OwnServer]:
        outpost_id = await in_thread(self._store.outpost_id)
        listed = await within(_LIST_SECONDS, spawner.own_servers(outpost_id))
        missing = set(await in_thread(self._store.missing, [server.service_id for server in listed]))
        if not missing or await in_thread(self._store.outpost_id) != outpost_id:
            return []
        still = {server.uid for server in await within(_LIST_SECONDS, spawner.own_servers(outpost_id))}
        found = [server for server in listed if server.service_id in missing and server.uid in still]
        return sorted(found, key=lambda server: server.created)

    async def _see_to(self, server: OwnServer, spawner: Any, delete: bool, dry_run: bool) -> None:
        due = delete and self._clock() - server.created >= MIN_AGE
        if dry_run:
            log.info("%s - %s has no row%s", server.identity, server.place, "; it would be deleted" if due else "")
        elif due:
            await self._remove(server, spawner)
        elif server.uid not in self._told:
            self._told.add(server.uid)
            log.warning("%s - %s has no row, so no hub knows it", server.identity, server.place)

    async def _remove(self, server: OwnServer, spawner: Any) -> None:
        try:
            await within(_REMOVE_SECONDS, spawner.remove_own(server))
        except Exception as error:  # noqa: BLE001  # a Spawner may raise anything; the next pass tries again
            log.warning("%s - %s has no row, but cannot be deleted now: %s", server.identity, server.place,
                        _sentence(error))  # fmt: skip
        else:
            log.warning("%s - %s had no row, so it was deleted", server.identity, server.place)


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
