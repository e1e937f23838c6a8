"""Killed at any step, Outpost loses nothing and leaves nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.slow.conftest import Make
from tests.support.outpost import OutpostProcess, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

START_STEPS = ["start:admitted", "start:before-spawn", "start:after-spawn"]
STOP_STEPS = ["stop:marked", "stop:before-stop", "stop:after-stop"]


def crash(outpost: OutpostProcess) -> None:
    """Wait until the fail point has killed it."""
    eventually(outpost.has_ended, what="the fail point is reached")


def failures(hub_stub: RecordingHub) -> int:
    """How often the hub was told that a start failed."""
    return sum(1 for event in hub_stub.told("/events") if event.get("failed"))


def try_to(call: object, *args: object, **kwargs: object) -> None:
    """A call whose server dies meanwhile."""
    try:
        call(*args, **kwargs)  # type: ignore[operator]
    except httpx.TransportError:
        return


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("step", START_STEPS)
def test_a_start_that_was_cut_off_ends_right(make: Make, hub_stub: RecordingHub, step: str, asynchronous: bool) -> None:
    outpost = make()
    outpost.start(OUTPOST_FAULT=step)
    with outpost.hub() as hub:
        try_to(hub.start, "a", asynchronous=asynchronous, env=hub_stub.env())
        crash(outpost)
        outpost.start()
        if asynchronous and step == "start:admitted":  # nobody had taken it yet, so it is started now
            eventually(lambda: [s["status"] for s in hub.services()] == ["running"])
            assert len(servers_in(outpost.folder)) == 1
            assert failures(hub_stub) == 0
        else:
            eventually(lambda: hub.services() == [])
            assert servers_in(outpost.folder) == []
            assert failures(hub_stub) == 1


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("step", STOP_STEPS)
def test_a_stop_that_was_cut_off_is_finished(make: Make, step: str, asynchronous: bool) -> None:
    outpost = make()
    outpost.start(OUTPOST_FAULT=step)
    with outpost.hub() as hub:
        hub.start("a")
        assert len(servers_in(outpost.folder)) == 1
        try_to(hub.stop, "a", asynchronous=asynchronous)
        crash(outpost)
        outpost.start()
        eventually(lambda: hub.services() == [])
        assert servers_in(outpost.folder) == []


@pytest.mark.slow
def test_a_hub_that_is_away_learns_of_the_failed_start_later(make: Make, hub_stub: RecordingHub) -> None:
    outpost = make().start()
    hub_stub.status = 0
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, user_options={"fail": "after"}, env=hub_stub.env())
        eventually(lambda: [s["status"] for s in hub.services()] == ["stopping"])
        eventually(lambda: servers_in(outpost.folder) == [])
        hub_stub.status = 204
        eventually(lambda: hub.services() == [], 30)
    assert failures(hub_stub) == 1


@pytest.mark.slow
def test_another_replica_carries_on_what_a_dead_one_left(make: Make, hub_stub: RecordingHub) -> None:
    first, second = make(), make()
    first.start()
    second.start()
    with first.hub() as dying, second.hub() as living:
        dying.start("running")
        dying.start("starting", asynchronous=True, user_options={"hang": True}, misc={"start_timeout": 60})
        eventually(lambda: len(servers_in(first.folder)) == 2)
        first.kill()
        eventually(lambda: [s["name"] for s in living.services()] == ["running"])
        assert len(servers_in(first.folder)) == 1
        assert living.poll("running").json()["status"] is None
        assert living.stop("running").status_code == 200
        assert servers_in(first.folder) == []


@pytest.mark.slow
def test_a_stop_that_another_replica_gets_reaches_the_start_that_is_running(make: Make) -> None:
    first, second = make(), make()
    first.start()
    second.start()
    with first.hub() as starting, second.hub() as stopping:
        starting.start("a", asynchronous=True, user_options={"hang": True}, misc={"start_timeout": 60})
        eventually(lambda: servers_in(first.folder))
        assert stopping.stop("a").status_code == 200
        assert servers_in(first.folder) == []
        assert starting.services() == []


@pytest.mark.slow
def test_sigterm_lets_a_start_finish(make: Make) -> None:
    outpost = make().start()
    with outpost.hub() as hub:
        hub.start("a", asynchronous=True, user_options={"slow": 2})
        outpost.stop()
        outpost.start()
        assert [s["status"] for s in hub.services()] == ["running"]
        assert hub.stop("a").status_code == 200
