"""The existing Outpost's database with its running servers, taken over by a real Outpost process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import URL

from tests.slow.conftest import Make
from tests.support.outpost import HubCalls, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.upstream import Generation, Server, UpstreamDatabase
from tests.support.waiting import eventually

Run = Callable[[], Server]


@pytest.fixture(params=["1.0", "2"])
def old(request: pytest.FixtureRequest, database_url: URL) -> Iterator[UpstreamDatabase]:
    """An old database without rows, of each generation."""
    generation: Generation = request.param
    with UpstreamDatabase(database_url, generation) as made:
        yield made


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start servers as the old Outpost has."""
    servers: list[Server] = []

    def start() -> Server:
        servers.append(Server(tmp_path))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def body(env: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A stored body."""
    return {"env": dict(env), "misc": {}, "user_options": {}, **more}


def listed(hub: HubCalls) -> dict[tuple[str, str], str]:
    """The hub's services and their status."""
    return {(s["name"], s["start_id"]): s["status"] for s in hub.services()}


@pytest.mark.slow
def test_running_servers_are_listed_polled_and_stopped_by_their_hubs(
    make: Make, old: UpstreamDatabase, run: Run, hub_stub: RecordingHub
) -> None:
    mine, default, theirs, ended = run(), run(), run(), run()
    env = hub_stub.env(JUPYTERHUB_USER_ID="42")
    old.add("a", user_id=42, state=mine.state, body=body(env), start_response={"service": "http://x:1"}, flavor="big")
    old.add("", start_id="f00", state=default.state)
    old.add("a", hub="hub2", state=theirs.state)
    old.add("ended", state=ended.state)
    ended.end()
    outpost = make().start(OUTPOST_CRYPT_KEY=old.key)
    with outpost.hub("hub1") as hub, outpost.hub("hub2") as other:
        assert listed(hub) == dict.fromkeys([("a", "0"), ("", "f00"), ("ended", "0")], "running")
        item = hub.services()[0]
        assert (item["jupyterhub_userid"], item["flavor"], item["state_stored"]) == ("42", "big", True)
        assert (item["end_date"][:4], item["start_date"]) == ("9999", "2026-01-02T03:04:05.000006+00:00")
        for name, start_id in (("a", "0"), ("", "f00")):
            assert hub.poll(name, start_id).json()["status"] is None
        assert hub.poll("ended").json()["status"] == 0
        assert other.poll("").status_code == 404
        assert other.poll("a").json()["status"] is None
        assert hub.stop("a").status_code == 200
        assert (mine.runs, default.runs, theirs.runs) == (False, True, True)
        assert hub.stop("", "f00").status_code == hub.stop("ended").status_code == other.stop("a").status_code == 200
        assert hub.services() == other.services() == []
    assert servers_in(outpost.folder) == []


@pytest.mark.slow
def test_what_was_under_way_is_ended_and_the_hub_is_told(
    make: Make, old: UpstreamDatabase, run: Run, hub_stub: RecordingHub
) -> None:
    starting, stopping, untouched = run(), run(), run()
    old.add("no state yet", start_pending=True, state=None, state_stored=False, body=body(hub_stub.env()))
    old.add("starting", start_pending=True, state=starting.state, body=body(hub_stub.env()))
    old.add("stopping", stop_pending=True, state=stopping.state, body=body(hub_stub.env()))
    old.add("running", state=untouched.state, body=body(hub_stub.env()))
    outpost = make().start(OUTPOST_CRYPT_KEY=old.key)
    with outpost.hub() as hub:
        eventually(lambda: listed(hub) == {("running", "0"): "running"})
        assert (starting.runs, stopping.runs, untouched.runs) == (False, False, True)
        assert sum(1 for event in hub_stub.told("/events") if event.get("failed")) == 2
        assert hub.start("starting", env=hub_stub.env()).status_code == 200, "the name is free again"


@pytest.mark.slow
def test_a_server_hidden_by_a_newer_one_of_its_name_is_stopped(make: Make, old: UpstreamDatabase, run: Run) -> None:
    hidden, reachable = run(), run()
    old.add("a", state=hidden.state)
    old.add("a", state=reachable.state)
    old.add("twice", state=(twice := run()).state)
    old.add("twice", state=twice.state)
    outpost = make().start(OUTPOST_CRYPT_KEY=old.key)
    with outpost.hub() as hub:
        eventually(lambda: not hidden.runs)
        eventually(lambda: listed(hub) == {("a", "0"): "running", ("twice", "0"): "running"})
        assert (reachable.runs, twice.runs) == (True, True)
        assert hub.poll("a").json()["status"] is hub.poll("twice").json()["status"] is None


@pytest.mark.slow
def test_a_row_that_no_key_opens_is_listed_named_and_left_alone(make: Make, old: UpstreamDatabase, run: Run) -> None:
    server, lost_key = run(), Fernet.generate_key().decode()
    sealed: dict[str, Any] = {"body": old.seal(body({}), lost_key), "state": old.seal(server.state, lost_key)}
    old.add("lost", **sealed)
    outpost = make().start(OUTPOST_CRYPT_KEY=old.key)
    with outpost.hub() as hub:
        assert listed(hub) == {("lost", "0"): "running"}
        assert hub.poll("lost").json()["status"] is None
        assert hub.start("another").status_code == 200
        assert "service hub1/lost/0 (row 1): stored data cannot be read" in outpost.log.read_text()
        outpost.stop()
        outpost.start(OUTPOST_CRYPT_KEY=f"{old.key};{lost_key}")
        assert server.runs
        assert hub.stop("lost").status_code == 200
    assert not server.runs


@pytest.mark.slow
@pytest.mark.parametrize("step", ["migrate:set-aside", "migrate:copied"])
def test_an_upgrade_that_is_killed_leaves_the_old_database_whole(
    make: Make, old: UpstreamDatabase, run: Run, step: str
) -> None:
    server = run()
    old.add("a", state=server.state)
    old.add("a", state=server.state)
    before = old.rows()
    outpost = make()
    outpost.launch(OUTPOST_CRYPT_KEY=old.key, OUTPOST_FAULT=step)
    eventually(outpost.has_ended, what="the fail point is reached")
    assert old.rows() == before
    outpost.start(OUTPOST_CRYPT_KEY=old.key)
    with outpost.hub() as hub:
        assert hub.poll("a").json()["status"] is None
        assert hub.stop("a").status_code == 200
    assert not server.runs


@pytest.mark.slow
def test_replicas_that_start_together_upgrade_it_once(make: Make, old: UpstreamDatabase, run: Run) -> None:
    server = run()
    old.add("a", state=server.state)
    replicas = [make() for _ in range(3)]
    for replica in replicas:
        replica.launch(OUTPOST_CRYPT_KEY=old.key)
    for replica in replicas:
        replica.wait()
        with replica.hub() as hub:
            assert listed(hub) == {("a", "0"): "running"}
            assert hub.poll("a").json()["status"] is None
    assert server.runs
