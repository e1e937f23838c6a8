"""Hubs set their tunnels up again after a restart of the SSH node: each once, and only those that want it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

import httpx
import pytest

from tests.contract.conftest import Configured, config
from tests.support.outpost import NO_TLS, OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

OFTEN = {"OUTPOST_TUNNELS_SLEEP_TIMER": "0.2", "OUTPOST_SSH_GENERATION": "1"}
IDLE = 'c.JupyterHubOutpost.spawner_class = "tests.support.zoo.IdleSpawner"\n'
SERVICES = 60


def restart(outpost: OutpostProcess, generation: str) -> None:
    """The container that is Outpost and SSH node restarts."""
    outpost.stop()
    outpost.start(OUTPOST_SSH_GENERATION=generation)


def set_up(hub: RecordingHub) -> Counter[str]:
    """How often the hub was asked for each place's tunnel."""
    return Counter(told["service"] for told in hub.told("/setuptunnel"))


def test_each_tunnel_is_set_up_once_for_each_restart(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    places = [f"http://10.0.0.1:{number}" for number in range(SERVICES)]
    for number, place in enumerate(places):
        hub.start(f"s{number}", env=hub_stub.env(), user_options={"returns": place})
    restart(outpost, "2")
    eventually(lambda: len(set_up(hub_stub)) == SERVICES)
    restart(outpost, "2")  # only Outpost has restarted
    restart(outpost, "3")
    eventually(lambda: set_up(hub_stub).total() == 2 * SERVICES)
    assert set_up(hub_stub) == dict.fromkeys(places, 2)
    assert {call.token for call in hub_stub.calls if call.path == "/setuptunnel"} == {"token the-api-token"}


def test_a_server_that_started_after_the_restart_has_its_tunnel(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    hub.start("old", env=hub_stub.env(), user_options={"returns": "http://old:1"})
    restart(outpost, "2")
    eventually(lambda: set_up(hub_stub) == {"http://old:1": 1})
    hub.start("new", env=hub_stub.env(), user_options={"returns": "http://new:1"})
    restart(outpost, "3")
    eventually(lambda: set_up(hub_stub) == {"http://old:1": 2, "http://new:1": 1})


def test_nothing_starts_before_the_nodes_restart_is_noted(configured: Configured) -> None:
    """Else it would be asked for again at once."""
    outpost, _ = configured(IDLE, OUTPOST_SSH_GENERATION="1")
    outpost.stop()
    with closing(sqlite3.connect(outpost.env["SQL_DATABASE_URL"])) as database:
        database.execute("BEGIN IMMEDIATE")  # it can be noted no sooner than this has ended
        outpost.launch(OUTPOST_SSH_GENERATION="2", OUTPOST_MIGRATE="never")
        eventually(lambda: outpost.log.read_text().count("Waiting for application startup") == 2)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{outpost.url}/ping", verify=NO_TLS)
        database.rollback()
        outpost.wait()
        assert database.execute("SELECT generation FROM ssh_node").fetchone() == ("2",)


def test_a_hub_that_is_away_gets_its_tunnels_later(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    hub.start("b", env=hub_stub.env(JUPYTERHUB_SETUPTUNNEL_URL=f"{hub_stub.url}/refuses"))
    hub_stub.statuses = {"/setuptunnel": 0, "/refuses": 403}
    restart(outpost, "2")
    eventually(lambda: "its tunnel is set up later" in outpost.log.read_text())
    eventually(lambda: hub_stub.told("/refuses"))
    hub_stub.statuses["/setuptunnel"] = 204
    eventually(lambda: set_up(hub_stub) == {"http://a:1": 1})
    assert len(hub_stub.told("/refuses")) == 1, "a hub that refuses is not asked again"
    assert outpost.log.read_text().count("the hub refused to set up its tunnel: HTTP 403") == 1


def test_a_token_that_is_no_longer_valid_is_logged_once_however_often_the_node_restarts(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    hub.start("a", env=hub_stub.env(JUPYTERHUB_SETUPTUNNEL_URL=f"{hub_stub.url}/denies"))
    hub.start("b", env=hub_stub.env(), user_options={"returns": "http://b:1"})
    hub_stub.statuses = {"/denies": 401}
    for times, generation in enumerate(("2", "3"), start=1):
        restart(outpost, generation)
        eventually(lambda times=times: set_up(hub_stub) == {"http://b:1": times})  # type: ignore[misc]
        eventually(lambda times=times: len(hub_stub.told("/denies")) == times)  # type: ignore[misc]
    assert outpost.log.read_text().count("HTTP 401, its token is no longer valid") == 1
    assert "the-api-token" not in outpost.log.read_text()


def test_a_hub_that_fails_is_asked_later(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    hub.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
    hub_stub.status = 500
    restart(outpost, "2")
    eventually(lambda: "its tunnel is set up later: HTTP 500" in outpost.log.read_text())
    hub_stub.status = 204
    eventually(lambda: set_up(hub_stub) == {"http://a:1": 2})


def test_a_hub_that_is_away_keeps_no_other_hub_waiting(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(IDLE, **OFTEN)
    with RecordingHub() as away, outpost.hub("hub2") as other:
        for number in range(30):
            hub.start(f"s{number}", env=away.env())
        other.start("a", env=hub_stub.env(), user_options={"returns": "http://a:1"})
        away.delay_seconds = 60
        restart(outpost, "2")
        eventually(lambda: set_up(hub_stub) == {"http://a:1": 1}, 8)  # one call to the other takes ten


def test_a_server_that_told_the_hub_its_place_itself_is_named_without_one(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    outpost, hub = configured(IDLE + 'c.JupyterHubOutpost.sanitize_start_response = lambda spawner, r: ""', **OFTEN)
    hub.start("a", env=hub_stub.env())
    restart(outpost, "2")
    eventually(lambda: hub_stub.told("/setuptunnel"))
    assert hub_stub.told("/setuptunnel") == [{"recreate": True}]


HOOKS = {
    "a bool": "c.JupyterHubOutpost.ssh_recreate_at_start = False",
    "a function": "c.JupyterHubOutpost.ssh_recreate_at_start = lambda outpost, hub: hub != 'hub1'",
    "a coroutine": "async def wanted(outpost, hub): return False\nc.JupyterHubOutpost.ssh_recreate_at_start = wanted",
    "for all hubs": "c.JupyterHubOutpost.ssh_recreate_at_start_global = lambda outpost, hubs: hubs == ['hub1', 'hub2']",
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS.keys())
def test_an_operator_says_which_hubs_want_their_tunnels(
    configured: Configured, hub_stub: RecordingHub, hook: str
) -> None:
    outpost, hub = configured(IDLE + hook, **OFTEN)
    wanted = "ssh_recreate_at_start = lambda" in hook
    with outpost.hub("hub2") as other:
        hub.start("a", env=hub_stub.env(), user_options={"returns": "http://one:1"})
        other.start("a", env=hub_stub.env(), user_options={"returns": "http://two:1"})
    restart(outpost, "2")
    # A pass that came later would heed what the file says then.
    eventually(lambda: "hub1: its tunnels are not set up again" in outpost.log.read_text())
    if wanted:
        eventually(lambda: set_up(hub_stub) == {"http://two:1": 1})
    outpost.config.write_text(config(IDLE))
    restart(outpost, "3")  # now everybody wants them: what came before would be counted too
    eventually(lambda: set_up(hub_stub) == {"http://one:1": 1, "http://two:1": 1 + wanted})
