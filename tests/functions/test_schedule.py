"""Schedules fire functions, and events that nobody waits for are tried again."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.aws.async_events import AsyncEvents
from local.aws.cron import Rate, parse
from local.aws.fork_server import ForkServer
from local.aws.function import Function, PayloadTooLarge
from local.aws.records import Record, Source
from local.aws.schedule import Schedule
from tests.functions.conftest import Deploy, noted
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

START = datetime(2026, 11, 24, 13, 30, 20, tzinfo=UTC)
SECONDS = 60


class Time:
    """Time that passes only where somebody waits for it, until it ends."""

    def __init__(self, ends_after: timedelta = timedelta(days=365)) -> None:
        self.now = START
        self.waited: list[float] = []
        self._end = START + ends_after

    def clock(self) -> datetime:
        """What the clock shows."""
        return self.now

    def seconds(self) -> float:
        """The same, as a number."""
        return self.now.timestamp()

    def wait(self, seconds: float) -> bool:
        """It has passed. True at the end."""
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)
        return self.now > self._end


@pytest.fixture
def keeping(deploy: Deploy, tmp_path: Path) -> Function:
    """A function that writes its event down."""
    return deploy("handlers.keeping", {"environment": {"NOTES": str(tmp_path / "event")}})


class Submitted(AsyncEvents):
    """Events that go no further."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def submit(self, payload: bytes, source: Source, request_id: str = "") -> Any:
        """Keep it."""
        self.events.append(json.loads(payload))


def fired(expression: str, time: Time, **options: Any) -> list[str]:
    """The times of all ticks until time ends."""
    events = Submitted()
    Schedule("tick", parse(expression), events, clock=time.clock, wait=time.wait, **options).run()
    return [event["time"] for event in events.events]


def test_a_rate_fires_after_each_period_and_a_cron_at_its_minutes() -> None:
    hours = timedelta(hours=3, minutes=1)
    assert fired("rate(1 hour)", Time(hours)) == [f"2026-11-24T{hour}:30:20Z" for hour in (14, 15, 16)]
    assert fired("cron(0 14,16 * * ? *)", Time(hours)) == ["2026-11-24T14:00:00Z", "2026-11-24T16:00:00Z"]
    assert fired("cron(0 0 1 1 ? 2020)", Time(hours)) == []


def test_ticks_that_are_late_are_left_out() -> None:
    """GIVEN a machine that slept for four hours WHEN it wakes up THEN there is one tick, and then the next in time."""
    time = Time(timedelta(hours=6, minutes=10))
    asleep = iter([timedelta(hours=4, minutes=10)])

    def wait(seconds: float) -> bool:
        time.now += next(asleep, timedelta())
        return time.wait(seconds)

    events = Submitted()
    Schedule("tick", parse("cron(0 * * * ? *)"), events, clock=time.clock, wait=wait).run()
    assert [event["time"][11:16] for event in events.events] == ["14:00", "18:00", "19:00"]


def test_a_schedule_fires_again_and_again_until_it_ends(noting: Function, tmp_path: Path) -> None:
    schedule = Schedule("often", Rate(timedelta(seconds=0.1)), AsyncEvents(noting))
    schedule.start()
    eventually(lambda: noted(tmp_path)["aws.events"] >= 3, SECONDS)
    schedule.close()
    eventually(lambda: [psutil.Process(pid).status() for pid in noting.pids] == ["stopped"] * len(noting.pids))


@pytest.mark.parametrize(
    ("arn", "source", "detail"),
    [
        ("arn:aws:events:eu-central-1:123456789012:rule/tick", "aws.events", {}),
        ("arn:aws:scheduler:eu-central-1:123456789012:schedule/default/tick", "aws.scheduler", "{}"),
    ],
)
def test_a_tick_is_the_event_that_eventbridge_sends(
    keeping: Function, tmp_path: Path, arn: str, source: str, detail: object
) -> None:
    schedule = Schedule("tick", parse("rate(1 day)"), AsyncEvents(keeping), arn=arn)
    assert schedule.tick(START).result(SECONDS)
    event = json.loads((tmp_path / "event").read_text())
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": source,
        "account": "123456789012",
        "time": "2026-11-24T13:30:20Z",
        "region": "eu-central-1",
        "resources": [arn],
        "detail": detail,
    }


def test_a_schedule_with_an_input_sends_that(keeping: Function, tmp_path: Path) -> None:
    Schedule("tick", parse("rate(1 day)"), AsyncEvents(keeping), payload=b'{"dry_run": true}').tick().result(SECONDS)
    assert json.loads((tmp_path / "event").read_text()) == {"dry_run": True}


def test_a_disabled_schedule_fires_only_when_it_is_told_to(noting: Function, tmp_path: Path) -> None:
    schedule = Schedule("never", Rate(timedelta(seconds=0)), AsyncEvents(noting), enabled=False)
    schedule.start()
    assert not schedule._thread.is_alive()
    assert schedule.tick().result(SECONDS)
    assert noted(tmp_path) == {"aws.events": 1}
    schedule.close()


Submit = Callable[..., list[Record]]


@pytest.mark.parametrize(
    ("attempts", "age", "pauses"),
    [(2, 21600, [60, 120]), (1, 21600, [60]), (0, 21600, []), (2, 100, [60]), (2, 59, [])],
)
def test_an_event_that_fails_is_tried_again_as_often_and_as_long_as_the_function_says(
    deploy: Deploy, records: list[Record], attempts: int, age: float, pauses: list[float]
) -> None:
    definition = {"retry_attempts": attempts, "max_event_age_seconds": age}
    function = deploy("handlers.misbehaving", definition, observer=records.append)
    time = Time()
    events = AsyncEvents(function, clock=time.seconds, pause=time.wait)
    answer = events.submit(b'{"do": "raise"}', Source("async")).result(SECONDS)
    assert answer is not None
    assert answer.json()["errorType"] == "ValueError"
    assert time.waited == pauses
    assert [record.status for record in records] == ["error"] * (len(pauses) + 1)
    assert len({record.request_id for record in records}) == 1, "it is the same event"


def test_an_event_that_is_handled_at_last_is_tried_no_more(deploy: Deploy, tmp_path: Path) -> None:
    """GIVEN an instance that exits once WHEN the event is tried again THEN that answer counts."""
    function = deploy("handlers.exits_once", {"environment": {"NOTES": str(tmp_path / "tried")}})
    time = Time()
    answer = AsyncEvents(function, clock=time.seconds, pause=time.wait).submit(b"{}", Source("async")).result(SECONDS)
    assert answer is not None
    assert (answer.error, time.waited) == ("", [60])


def test_an_event_whose_function_is_too_busy_waits_longer_and_longer_until_it_is_too_old(
    deploy: Deploy, tmp_path: Path, records: list[Record]
) -> None:
    definition = {"environment": {"NOTES": str(tmp_path)}, "concurrency": 1, "max_event_age_seconds": 1000}
    function = deploy("handlers.blocked", definition, observer=records.append)
    time = Time()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(function.handle, b"{}", Source("invoke"))
        eventually(lambda: list(tmp_path.glob("began-*")), SECONDS)
        events = AsyncEvents(function, clock=time.seconds, pause=time.wait)
        assert events.submit(b"{}", Source("async")).result(SECONDS) is None
        (tmp_path / "go").touch()
        assert first.result().answer.error == ""
    assert time.waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert {record.status for record in records} == {"throttled"}


def test_an_event_of_a_function_that_is_switched_off_is_given_up_at_once(
    deploy: Deploy, records: list[Record], caplog: pytest.LogCaptureFixture
) -> None:
    """Lambda does so with a reserved concurrency of 0."""
    function = deploy("handlers.about", {"name": "off", "concurrency": 0}, observer=records.append)
    time = Time()
    answer = AsyncEvents(function, clock=time.seconds, pause=time.wait).submit(b"{}", Source("async")).result(SECONDS)
    assert answer is None
    assert time.waited == []
    assert [record.status for record in records] == ["throttled"]
    assert "off is switched off" in caplog.text


def test_an_event_that_cannot_be_handled_is_told_with_its_functions_name(
    deploy: Deploy, dead_fork_server: ForkServer, caplog: pytest.LogCaptureFixture
) -> None:
    function = deploy("handlers.about", {"name": "unlucky", "fork_server": dead_fork_server})
    error = AsyncEvents(function).submit(b"{}", Source("async")).exception(SECONDS)
    assert isinstance(error, RuntimeError)
    assert f"an event of unlucky was not handled: RuntimeError: {error}" in caplog.messages


def test_an_event_of_more_than_a_megabyte_is_refused_at_once(deploy: Deploy) -> None:
    events = AsyncEvents(deploy("handlers.about"))
    with pytest.raises(PayloadTooLarge):
        events.submit(b" " * (1024 * 1024 + 1), Source("async"))
