"""What one process has counted, for Prometheus. Replicas are scraped each for itself, and Prometheus adds them up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from core.ports import HubCall

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SPAWNER_SECONDS = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1200)

_STARTS, _STOPS = ("running", "failed", "cancelled"), ("stopped", "failed")
_POLLS, _CALLS = ("running", "ended", "unknown"), ("ok", "refused", "unreachable")
_RUNS = ("ok", "failed")


class Metrics:
    """Implements :class:`core.ports.Meter`. Every label has few values, and none of them is a user's or a client's."""

    def __init__(self, version: str, hubs: Iterable[str] = ()) -> None:
        """``hubs`` may call: their series begin at 0, so that the first time something happens is seen as a rise."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a series beside each counter that nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        info = Gauge("outpost_build_info", "1; the version of this process.", ["version"], registry=self.registry)
        info.labels(version).set(1)
        self._requests = self._counter("requests", "Requests answered, by call and HTTP status.", "call", "status")
        self._request_seconds = self._seconds("request", "requests took, by call", "call", _REQUEST_SECONDS)
        self._starts = self._counter(
            "starts", "Starts that ended, by hub and outcome: running, failed, cancelled.", "hub", "outcome"
        )
        self._start_seconds = self._seconds("start", "the Spawner took to start", "outcome", _SPAWNER_SECONDS)
        self._stops = self._counter(
            "stops", "Attempts to stop a server, by hub and outcome: stopped, failed.", "hub", "outcome"
        )
        self._stop_seconds = self._seconds("stop", "the Spawner took to stop", "outcome", _SPAWNER_SECONDS)
        self._polls = self._counter(
            "polls", "Polls of servers, by hub and outcome: running, ended, unknown.", "hub", "outcome"
        )
        self._refusals = self._counter(
            "quota_refusals", "Starts refused because a limit was reached.", "hub", "flavor", "limit"
        )
        self._expiries = self._counter("expiries", "Servers stopped because their run time was over.", "hub")
        self._hub_calls = self._counter(
            "hub_calls",
            "Calls to hubs: events, flavors, tunnel, servers. Outcomes: ok, refused, unreachable.",
            "hub",
            "call",
            "outcome",
        )
        self._runs = self._counter("schedule_runs", "Passes of scheduled work: ok, failed.", "schedule", "outcome")
        self._last_run = Gauge(
            "outpost_schedule_last_success_timestamp_seconds",
            "When this process last did a pass of scheduled work, or started; another one may have done a later one.",
            ["schedule"],
            registry=self.registry,
        )

        for outcome in _STARTS:
            self._start_seconds.labels(outcome)
        for outcome in _STOPS:
            self._stop_seconds.labels(outcome)
        for hub in hubs:
            self._begin(hub)

    def _begin(self, hub: str) -> None:
        for counter, outcomes in ((self._starts, _STARTS), (self._stops, _STOPS), (self._polls, _POLLS)):
            for outcome in outcomes:
                counter.labels(hub, outcome)
        self._expiries.labels(hub)
        for call in get_args(HubCall):
            for outcome in _CALLS:
                self._hub_calls.labels(hub, call, outcome)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"outpost_{name}_total", text, labels, registry=self.registry)

    def _seconds(self, name: str, what: str, label: str, buckets: tuple[float, ...]) -> Histogram:
        name, text = f"outpost_{name}_duration_seconds", f"How long {what}."
        return Histogram(name, text, [label], buckets=buckets, registry=self.registry)

    def request(self, call: str, status: int, seconds: float) -> None:
        """A request was answered; a :data:`handlers.observed.Observe`."""
        self._requests.labels(call, str(status)).inc()
        self._request_seconds.labels(call).observe(seconds)

    def start_ended(self, hub: str, outcome: str, seconds: float | None) -> None:
        self._starts.labels(hub, outcome).inc()
        if seconds is not None:
            self._start_seconds.labels(outcome).observe(seconds)

    def stop_ended(self, hub: str, outcome: str, seconds: float) -> None:
        self._stops.labels(hub, outcome).inc()
        self._stop_seconds.labels(outcome).observe(seconds)

    def polled(self, hub: str, outcome: str) -> None:
        self._polls.labels(hub, outcome).inc()

    def refused(self, hub: str, flavor: str, limit: str) -> None:
        self._refusals.labels(hub, flavor, limit).inc()

    def expired(self, hub: str) -> None:
        self._expiries.labels(hub).inc()

    def hub_called(self, hub: str, call: str, outcome: str) -> None:
        self._hub_calls.labels(hub, call, outcome).inc()

    def scheduled(self, schedule: str, at: datetime) -> None:
        """Its passes begin at that moment: one that never succeeds grows old from then on."""
        for outcome in _RUNS:
            self._runs.labels(schedule, outcome)
        self._last_run.labels(schedule).set(at.timestamp())

    def ran(self, schedule: str, at: datetime | None) -> None:
        """A pass of a schedule was done at that moment, or with None it failed."""
        self._runs.labels(schedule, "failed" if at is None else "ok").inc()
        if at is not None:
            self._last_run.labels(schedule).set(at.timestamp())
