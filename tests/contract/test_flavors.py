"""What hubs are told of flavors, and the end of a run time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.conftest import Configured
from tests.support.outpost import servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

SMALL = 'c.JupyterHubOutpost.flavors = {"small": {"max": 2, "weight": 3, "runtime": {"seconds": 2}}, "big": 1}\n'


def test_flavors_come_with_their_use_and_the_undefined_one(configured: Configured) -> None:
    outpost, hub = configured(SMALL + "c.JupyterHubOutpost.flavors_undefined_max = 5")
    hub.start("a", flavor="big")
    hub.start("b", flavor="unheard of")
    hub.start("c")
    flavors = hub.http.get("/flavors").json()
    assert {name: (flavor["current"], flavor["max"]) for name, flavor in flavors.items()} == {
        "small": (0, 2),
        "big": (1, 1),
        "_undefined": (2, 5),
    }
    refused = hub.start("d", flavor="big")
    assert refused.status_code == 419
    assert "max: 1" in refused.json()["args"][0]
    with outpost.hub("hub2") as other:
        assert other.http.get("/flavors").json()["big"]["current"] == 0
        assert other.start("a", flavor="big").status_code == 200


TOKENS = {
    "a string": ('c.JupyterHubOutpost.flavors_update_token = "flavor-token"', {}),
    "a function": ("c.JupyterHubOutpost.flavors_update_token = lambda hub: {'hub1': 'flavor-token'}[hub]", {}),
    "a coroutine": (
        "async def token(hub):\n    return 'flavor-token'\nc.JupyterHubOutpost.flavors_update_token = token",
        {},
    ),
    "the environment": ("", {"JUPYTERHUB_FLAVORS_UPDATE_TOKEN": "flavor-token"}),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_the_hub_is_told_its_flavors_when_a_server_starts_and_stops(
    configured: Configured, hub_stub: RecordingHub, kind: str
) -> None:
    lines, env = TOKENS[kind]
    _, hub = configured(SMALL + lines)
    hub.start("a", flavor="big", env=hub_stub.env(**env))
    eventually(lambda: hub_stub.told("/flavors") and hub_stub.told("/flavors")[-1]["big"]["current"] == 1)
    hub.stop("a")
    eventually(lambda: hub_stub.told("/flavors")[-1]["big"]["current"] == 0)
    assert {call.token for call in hub_stub.calls if call.path == "/flavors"} == {"token flavor-token"}


def test_a_token_hook_that_raises_only_logs(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(SMALL + "c.JupyterHubOutpost.flavors_update_token = lambda hub: 1 / 0")
    assert hub.start("a", flavor="big", env=hub_stub.env()).status_code == 200
    eventually(lambda: "flavors are not sent" in outpost.log.read_text())
    assert hub_stub.told("/flavors") == []


def test_a_hub_that_does_not_take_flavors_gets_them_later_and_slows_nothing(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    _, hub = configured(SMALL)
    hub_stub.status = 500
    assert hub.start("a", flavor="big", env=hub_stub.env()).status_code == 200
    eventually(lambda: hub_stub.told("/flavors"))
    hub_stub.status = 200
    eventually(lambda: len(hub_stub.told("/flavors")) >= 2)
    assert hub_stub.told("/flavors")[-1]["big"]["current"] == 1


def test_many_changes_at_once_become_few_calls(configured: Configured, hub_stub: RecordingHub) -> None:
    _, hub = configured('c.JupyterHubOutpost.flavors = {"many": -1}')
    for number in range(20):
        hub.start(f"s{number}", asynchronous=True, flavor="many", env=hub_stub.env())
    eventually(lambda: hub_stub.told("/flavors") and hub_stub.told("/flavors")[-1]["many"]["current"] == 20)
    assert len(hub_stub.told("/flavors")) < 20


def test_a_server_whose_run_time_is_over_is_stopped(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, hub = configured(SMALL, JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER="0.5")
    hub.start("a", flavor="small", env=hub_stub.env())
    hub.start("b", flavor="big")
    listed = {service["name"]: service for service in hub.services()}
    assert not listed["a"]["end_date"].startswith("9999")
    assert listed["b"]["end_date"].startswith("9999")
    eventually(lambda: [s["name"] for s in hub.services()] == ["b"])
    assert len(servers_in(outpost.folder)) == 1
    eventually(lambda: hub_stub.told("/flavors")[-1]["small"]["current"] == 0)


def test_a_server_that_hangs_on_stop_does_not_hold_up_the_others(configured: Configured) -> None:
    _, hub = configured(SMALL, JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER="0.5")
    hub.start("stubborn", flavor="small", user_options={"stop": "hangs"})
    eventually(lambda: hub.services()[0]["stop_pending"], 60)
    for name in ("second", "third"):
        hub.start(name, flavor="small")
    eventually(lambda: [s["name"] for s in hub.services()] == ["stubborn"], 60)


RULES = """
flavors:
  small: {max: 1, maxPerUser: 1, weight: 5}
  big: {max: 2}
hubs:
  ours: {jupyterhub_name: hub1, flavors: [small]}
users:
  staff: {hubs: [ours], authentication: {group: staff}, weight: 2, flavors: [small, big]}
  banned: {hubs: [ours], authentication: {name: mallory}, weight: 9, forbidden: true}
"""


def test_with_a_file_its_rules_are_in_force_and_a_broken_one_is_reported(
    configured: Configured, tmp_path: Path
) -> None:
    outpost, hub = configured(SMALL)
    file = tmp_path / "flavors.yaml"
    file.write_text(RULES)
    assert set(hub.http.get("/flavors").json()) == {"small"}
    assert set(hub.http.post("/userflavors", json={"group": ["x", "staff"]}).json()) == {"small", "big"}
    assert hub.http.post("/userflavors", json={"name": "mallory"}).json() == {}
    assert hub.start("a").status_code == 419, "a flavor is mandatory"
    assert hub.start("a", flavor="big").status_code == 419
    assert hub.start("a", flavor="big", authentication={"group": "staff"}).status_code == 200
    assert hub.start("b", flavor="small", authentication={"name": "mallory"}).status_code == 419
    if outpost.keeps_last_good:
        file.write_text("flavors: [broken")
        assert hub.http.get("/health").json()["flavors"] == "broken"
        assert set(hub.http.get("/flavors").json()) == {"small"}
