"""``/metrics``: what the process has counted, and how things stand in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.errors import OutpostError, StoreUnavailable
from core.model import UNDEFINED_FLAVOR, Status
from core.ports import Tally
from core.threads import in_thread
from infra.metrics import Metrics
from infra.wiring import Outpost

log = logging.getLogger(__name__)

CACHED = timedelta(seconds=5)
"""Who scrapes more often, or floods, costs the database nothing more."""

_PATIENCE_SECONDS, _HOOK_SECONDS = 5, 3
"""For the database, and then for an operator's hook: together below the ten that Prometheus waits for a scrape."""

_WAITING = (Status.PENDING, Status.STARTING, Status.STOPPING)


@dataclass(frozen=True)
class Standing:
    """How things stood at one moment. Without a database there are no ``tallies``."""

    at: datetime
    tallies: list[Tally] | None
    """Their flavors are known ones, or ``_undefined``."""
    problems: Mapping[str, str | None]


class Exposition:
    """Answers scrapes. What it says of the database is the same in all replicas."""

    def __init__(self, metrics: Metrics, outpost: Outpost) -> None:
        self._metrics = metrics
        self._outpost = outpost
        self._standing: Standing | None = None
        self._alone = asyncio.Lock()
        metrics.registry.register(_Gauges(self))

    async def scrape(self) -> bytes:
        """In Prometheus's text format. A database that is away is told of, and is no error."""
        async with self._alone:
            now = self._outpost.clock()
            if self._standing is None or now - self._standing.at >= CACHED:
                self._standing = await self._look(now)
        return generate_latest(self._metrics.registry)  # not in a store's thread, which may wait for the database

    @property
    def standing(self) -> Standing | None:
        """The last look, at most ``CACHED`` old."""
        return self._standing

    async def _look(self, now: datetime) -> Standing:
        tallies: list[Tally] | None = None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                tallies = await in_thread(self._outpost.store.tally)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("metrics lack the services: %s", str(error) or f"no answer within {_PATIENCE_SECONDS} seconds")
        else:
            tallies = await self._with_known_flavors(tallies)
        return Standing(now, tallies, self._outpost.file_problems())

    async def _with_known_flavors(self, tallies: list[Tally]) -> list[Tally]:
        hubs = list({tally.hub for tally in tallies})
        known = dict(zip(hubs, await asyncio.gather(*map(self._known, hubs)), strict=True))
        return [
            tally if tally.flavor in known[tally.hub] else tally._replace(flavor=UNDEFINED_FLAVOR) for tally in tallies
        ]

    async def _known(self, hub: str) -> frozenset[str]:
        """Clients choose flavors, so only the operator's names may become labels."""
        try:
            async with asyncio.timeout(_HOOK_SECONDS):
                return await self._outpost.flavors.names(hub)
        except (OutpostError, TimeoutError) as error:
            why = str(error) or f"no answer within {_HOOK_SECONDS} seconds"
            log.warning("metrics lack the flavors of the hub %s: %s", hub, why)
            return frozenset()


class _Gauges(Collector):
    """The last look as metrics."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def describe(self) -> list[Metric]:
        """Nothing to look up when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Made anew for each scrape: what is gone leaves no series behind."""
        standing = self._exposition.standing
        if standing is None:
            return
        up = GaugeMetricFamily("outpost_database_up", "1 when the database answers, else 0.")
        up.add_metric([], float(standing.tallies is not None))
        yield up
        broken = GaugeMetricFamily(
            "outpost_file_broken",
            "1 when a changed file cannot be used, so that the last good one is in force.",
            labels=["file"],
        )
        for name, problem in standing.problems.items():
            broken.add_metric([name], float(problem is not None))
        yield broken
        if standing.tallies is not None:
            yield _services(standing.tallies)
            yield _ages(standing.tallies, standing.at)


def _services(tallies: list[Tally]) -> Metric:
    numbers: dict[tuple[str, str, str], int] = {}
    for tally in tallies:
        labels = (tally.hub, tally.flavor or UNDEFINED_FLAVOR, str(tally.status))
        numbers[labels] = numbers.get(labels, 0) + tally.number
    family = GaugeMetricFamily(
        "outpost_services", "Services by hub, flavor and status.", labels=["hub", "flavor", "status"]
    )
    for labels, number in sorted(numbers.items()):
        family.add_metric(labels, number)
    return family


def _ages(tallies: list[Tally], now: datetime) -> Metric:
    family = GaugeMetricFamily(
        "outpost_oldest_service_age_seconds",
        "For how long the oldest service has been pending, starting, stopping; 0 without one.",
        labels=["status"],
    )
    for status in _WAITING:
        oldest = min((tally.oldest for tally in tallies if tally.status is status), default=now)
        family.add_metric([str(status)], max(0.0, (now - oldest).total_seconds()))
    return family
