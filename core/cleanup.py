"""Scheduled: stop the services that their hub has forgotten."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from core.errors import HubUnreachable, OutpostError
from core.hub_calls import HubCalls
from core.model import Identity, ServiceSummary, Status
from core.ports import Clock, Store
from core.threads import in_thread

log = logging.getLogger(__name__)

MIN_AGE = timedelta(minutes=30)
"""A younger service may be one that its hub is still bringing up."""

_UNKNOWN_USER = "0"
"""Of a service whose user is not known it cannot be said that its hub does not list it, if it lists one so named."""

StopSoon = Callable[[Identity], Awaitable[None]]


class ServerList(NamedTuple):
    """Where a hub lists its servers, and the token it lists them for."""

    hub: str
    url: str
    token: str


async def cleanup(
    store: Store, calls: HubCalls, lists: list[ServerList], stop: StopSoon, clock: Clock, dry_run: bool = False
) -> int:
    """One pass over all hubs that can be asked; how many services are, or in a dry run would be, stopped.

    Only a hub's well-formed answer counts: a hub that is away has forgotten nothing.
    """
    stopped = 0
    for place in lists:
        try:
            known = await _known_to(place, calls)
        except (HubUnreachable, ValueError) as error:
            log.warning("hub %s - does not tell its servers, so none is taken for forgotten: %s", place.hub, error)
            continue
        for service in await in_thread(store.list_hub, place.hub):
            if _is_due(service, clock) and _listed_as(service) not in known:
                stopped += await _stop(service.identity, stop, dry_run)
    return stopped


async def _known_to(place: ServerList, calls: HubCalls) -> set[str]:
    """What the hub lists. Raises ``HubUnreachable``, or ``ValueError`` when the answer is no list of servers."""
    status, body = await calls.get(place.hub, "servers", place.url, place.token)
    if status != 200:
        raise ValueError(f"HTTP {status}")
    try:
        names = json.loads(body)
    except ValueError:
        raise ValueError("the answer is not JSON") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the answer is no list of strings")
    return {*names, *(f"{_UNKNOWN_USER}_{name.partition('_')[2]}" for name in names)}


def _is_due(service: ServiceSummary, clock: Clock) -> bool:
    return service.status is Status.RUNNING and clock() - service.start_date >= MIN_AGE


def _listed_as(service: ServiceSummary) -> str:
    """A service as hubs list it."""
    return f"{service.user_id}_{service.identity.name}_{service.identity.start_id}"


async def _stop(identity: Identity, stop: StopSoon, dry_run: bool) -> bool:
    if dry_run:
        log.info("%s - its hub no longer lists it; it would be stopped", identity)
        return True
    log.info("%s - its hub no longer lists it, so it is stopped", identity)
    try:
        await stop(identity)
    except OutpostError as error:
        log.warning("%s - could not be stopped now: %s", identity, error)
        return False
    return True
