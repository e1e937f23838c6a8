"""What is promised of every Spawner."""

from __future__ import annotations

import psutil
import pytest

from tests.spawners.conftest import Hub
from tests.spawners.families import USER, Family
from tests.support.outpost import OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

MOST_ROUNDS = 12
"""More than there are threads for the store."""


def restart(outpost: OutpostProcess) -> None:
    """Killed, and started anew: whatever comes next is another process's work."""
    outpost.kill()
    outpost.start()


def test_a_server_starts_with_its_hubs_environment_and_stops(hub: Hub) -> None:
    server = hub.start("a")
    told = server.tell()
    assert told is not None
    assert (told["JUPYTERHUB_USER"], told["JUPYTERHUB_API_TOKEN"]) == (USER, "the-api-token")
    assert hub.status("a") is None
    assert hub.calls.stop("a").status_code == 200
    assert not server.answers()
    hub.assert_only()


def test_each_operation_may_be_another_process(hub: Hub, outpost: OutpostProcess) -> None:
    server, bystander = hub.start("a"), hub.start("bystander")
    restart(outpost)
    assert hub.status("a") is None
    restart(outpost)
    assert hub.status("a") is None
    assert server.answers()
    restart(outpost)
    assert hub.calls.stop("a").status_code == 200
    restart(outpost)
    hub.assert_only("bystander")
    assert hub.calls.poll("a").status_code == 404
    assert bystander.answers()
    assert hub.status("bystander") is None


def test_a_server_can_be_started_again(hub: Hub) -> None:
    for _ in range(2):
        server = hub.start("a")
        assert hub.calls.stop("a").status_code == 200
        assert not server.answers()


@pytest.mark.parametrize("away", [False, True], ids=["outpost-is-there", "outpost-is-away"])
def test_a_server_that_ended_by_itself_is_told_with_its_exit_code(
    hub: Hub, outpost: OutpostProcess, family: Family, away: bool
) -> None:
    server = hub.start("a")
    if away:
        outpost.kill()
    server.end(3)
    eventually(lambda: not server.answers())
    if away:
        outpost.start()
    status = hub.calls.poll_until_ended("a")["status"]
    assert status in family.told(3)
    restart(outpost)
    family.forget_ended()
    assert hub.status("a") == status
    assert hub.calls.stop("a").status_code == 200
    hub.assert_only()


def test_a_server_that_was_taken_away_has_ended_and_can_be_stopped(hub: Hub, family: Family) -> None:
    for name in ("polled", "not-polled"):
        hub.start(name)
        family.take_away(name)
        eventually(lambda gone=name: gone not in family.resources())  # type: ignore[misc]
    family.forget_ended()
    hub.calls.poll_until_ended("polled")
    for name in ("polled", "not-polled"):
        assert hub.calls.stop(name).status_code == 200
    hub.assert_only()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_start_that_is_refused_says_why_and_leaves_nothing(hub: Hub, family: Family, asynchronous: bool) -> None:
    answer = hub.request_start("a", asynchronous=asynchronous, **family.refused)
    if asynchronous:
        (told,) = eventually(hub.failures, what="the hub is told")
    else:
        assert answer.status_code == 419, answer.text
        told = answer.json()["args"][0]
        assert not hub.failures()
    assert family.refusal in told
    hub.assert_only()


def test_a_stop_during_the_start_leaves_nothing(hub: Hub) -> None:
    hub.begin("a")
    assert hub.status("a") is None
    assert hub.calls.stop("a").status_code == 200
    hub.assert_only()
    assert not hub.failures()


@pytest.mark.parametrize("step", ["start:before-spawn", "start:after-spawn"])
def test_a_start_that_a_crash_cut_off_leaves_nothing(hub: Hub, outpost: OutpostProcess, step: str) -> None:
    bystander = hub.start("bystander")
    outpost.kill()
    outpost.start(OUTPOST_FAULT=step)
    hub.request_start("a", asynchronous=True)
    eventually(outpost.has_ended, what=f"{step} is reached")
    outpost.start()
    hub.assert_only("bystander")
    assert len(hub.failures()) == 1
    assert bystander.answers()


def test_a_crash_in_the_middle_of_the_spawners_start_leaves_nothing(hub: Hub, outpost: OutpostProcess) -> None:
    hub.begin("a")
    restart(outpost)
    hub.assert_only()
    assert len(hub.failures()) == 1


def test_a_crash_after_the_start_was_stored_loses_nothing(hub: Hub, outpost: OutpostProcess) -> None:
    outpost.kill()
    outpost.start(OUTPOST_FAULT="start:running")
    hub.request_start("a", asynchronous=True)
    eventually(outpost.has_ended)
    outpost.start()
    hub.assert_only("a")
    assert hub.status("a") is None


@pytest.mark.parametrize("step", ["stop:before-stop", "stop:gone"])
def test_a_stop_that_a_crash_cut_off_is_carried_on(hub: Hub, outpost: OutpostProcess, step: str) -> None:
    hub.start("bystander")
    hub.start("a")
    outpost.kill()
    outpost.start(OUTPOST_FAULT=step)
    hub.calls.stop("a", asynchronous=True)
    eventually(outpost.has_ended, what=f"{step} is reached")
    outpost.start()
    hub.assert_only("bystander")


def test_two_hubs_servers_of_the_same_name_and_user_are_two(
    hub: Hub, outpost: OutpostProcess, family: Family, hub_stub: RecordingHub
) -> None:
    other = Hub(outpost, family, hub_stub, "hub2")
    with other.calls:
        mine, theirs = hub.start("a"), other.start("a")
        assert mine.url != theirs.url
        assert hub.calls.stop("a").status_code == 200
        assert theirs.answers()
        assert other.status("a") is None
        assert other.calls.stop("a").status_code == 200


def test_operations_leave_nothing_in_the_process(hub: Hub, outpost: OutpostProcess, family: Family) -> None:
    """What a process keeps for good is there after some rounds; the next one leaves no thread, file or child more."""

    def held() -> list[int]:
        process = psutil.Process(outpost.pid)
        children = [child for child in process.children() if child.status() != psutil.STATUS_ZOMBIE]
        return [process.num_threads(), process.num_fds(), len(children)]

    def a_round() -> list[int]:
        hub.start("a")
        hub.status("a")
        hub.calls.stop("a")
        hub.request_start("b", **family.refused)
        return held()

    seen = [a_round()]
    while len(seen) < MOST_ROUNDS:
        seen.append(a_round())
        if all(now <= before for now, before in zip(seen[-1], seen[-2], strict=True)):
            return
    raise AssertionError(f"each round leaves something: {seen}")
