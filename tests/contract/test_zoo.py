"""Spawners that hang, raise and lie harm nobody but themselves."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.conftest import config
from tests.support.outpost import HubCalls, OutpostProcess, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

IMPATIENT = """
import asyncio, datetime
from core import driving, stopping
driving.POLL_SECONDS = driving.STOP_SECONDS = 4.0
stopping._FIRST_RETRY = datetime.timedelta(seconds=0.2)
c.JupyterHubOutpost.flavors = {"one": {"max": 1}, "many": {"max": 100}}
async def before(spawner):
    if spawner.option("hook") == "hangs before":
        await asyncio.sleep(3600)
async def after(spawner):
    if spawner.option("hook") == "hangs after":
        await asyncio.sleep(3600)
c.Spawner.pre_spawn_hook = before
c.Spawner.post_stop_hook = after
"""

HUNG_POLLS = 20
"""One after the other they would take longer than a client waits."""


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def outpost(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutpostProcess]:
    """An Outpost with short bounds of time."""
    env = {"OUTPOST_LEASE_SECONDS": "3"}
    if request.param == "postgresql":
        env |= request.getfixturevalue("cluster").create_database("zoo")
    running = OutpostProcess(tmp_path_factory.mktemp(request.param), config(IMPATIENT), env)
    try:
        yield running.start()
    finally:
        running.close()


def nothing_is_left(hub: HubCalls, outpost: OutpostProcess) -> bool:
    """Neither row nor server?"""
    return hub.services() == [] and servers_in(outpost.folder) == []


def test_polls_that_hang_are_null_and_hold_up_nobody(hub: HubCalls) -> None:
    hub.start("a", user_options={"poll": "hangs"})
    with ThreadPoolExecutor(HUNG_POLLS) as pool:
        polls = [pool.submit(hub.poll, "a") for _ in range(HUNG_POLLS)]
        assert hub.start("b").status_code == 200
        assert hub.poll("b").json()["status"] is None
        assert [poll.result().json() for poll in polls] == [{"status": None, "logs": []}] * HUNG_POLLS


@pytest.mark.parametrize("how", ["raises", "hangs"])
def test_a_stop_that_never_works_is_tried_again_and_again_without_its_quota(
    hub: HubCalls, outpost: OutpostProcess, how: str
) -> None:
    name = f"stubborn-{how}"
    hub.start(name, flavor="one", user_options={"stop": how})
    assert hub.start("full", flavor="one").status_code == 419
    answer = hub.stop(name)
    assert answer.status_code == 419
    assert "tried again" in answer.json()["args"][0]
    assert hub.start("b", flavor="one").status_code == 200
    notes = outpost.folder / f"stops-of-{name}"
    eventually(lambda: notes.read_text().count("asked") >= 3, 60, "the stop is tried again")
    assert hub.poll("b").json()["status"] is None
    assert hub.stop("b").status_code == 200
    assert [(row["name"], row["status"]) for row in hub.services()] == [(name, "stopping")]
    assert [server.environ()["ZOO_NAME"] for server in servers_in(outpost.folder)] == [name]
    (outpost.folder / "closing").touch()
    eventually(lambda: nothing_is_left(hub, outpost), 60)


def test_a_start_that_fails_without_a_word_of_what_it_has_made_leaves_nothing(
    hub: HubCalls, outpost: OutpostProcess
) -> None:
    answer = hub.start("a", user_options={"fail": "during"})
    assert answer.json()["args"] == ["the keeper has lost the key"]
    assert nothing_is_left(hub, outpost)


@pytest.mark.parametrize("hang", [True, "deaf"])
def test_a_start_that_hangs_or_does_not_listen_is_told_and_leaves_nothing(
    hub: HubCalls, outpost: OutpostProcess, hub_stub: RecordingHub, hang: object
) -> None:
    options = {"hang": hang}
    hub.start("a", asynchronous=True, user_options=options, misc={"start_timeout": 1}, env=hub_stub.env())
    (event,) = eventually(lambda: [event for event in hub_stub.told("/events") if event.get("failed")])
    assert "did not start within 1 seconds" in event["html_message"]
    eventually(lambda: nothing_is_left(hub, outpost))


def test_a_hook_that_hangs_before_the_start_ends_with_the_starts_time(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.start("a", user_options={"hook": "hangs before"}, misc={"start_timeout": 1})
    assert answer.json()["args"] == ["The hooks before the start did not end within 1 seconds"]
    assert nothing_is_left(hub, outpost)


def test_a_hook_that_hangs_after_the_stop_keeps_nothing_alive(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", user_options={"hook": "hangs after"})
    assert hub.stop("a").status_code == 200
    assert nothing_is_left(hub, outpost)


def test_progress_that_raises_is_told_as_far_as_it_came(hub: HubCalls, hub_stub: RecordingHub) -> None:
    assert hub.start("a", user_options={"progress": "raises"}, env=hub_stub.env()).status_code == 200
    eventually(lambda: hub_stub.told("/events"))
    assert hub.stop("a").status_code == 200
    assert hub_stub.told("/events") == [{"progress": 10, "message": "the keeper wakes up"}]
