"""Services that their hub has forgotten are stopped, on good evidence only."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from tests.contract.conftest import Configured
from tests.support.outpost import HubCalls, OutpostProcess, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

NAMES = ["known", "forgotten", "young"]


def lists(hub: RecordingHub, **more: str) -> dict[str, str]:
    """The environment that says where ``hub1`` lists its servers."""
    return {
        "JUPYTERHUB_CLEANUP_NAMES": "hub1",
        "JUPYTERHUB_CLEANUP_URLS": f"{hub.url}/servers",
        "JUPYTERHUB_CLEANUP_TOKENS": "list-token",
        "JUPYTERHUB_CLEANUP_SLEEP_TIMER": "0.2",
        **more,
    }


def start_all(outpost: OutpostProcess, hub: HubCalls, hub_stub: RecordingHub) -> None:
    """Three servers, two of them started long ago."""
    for name in NAMES:
        hub.start(name, env=hub_stub.env(), user_options={"start_id": "s"})
    with sqlite3.connect(outpost.folder / "outpost.sqlite", timeout=30) as db:
        db.execute("UPDATE service SET start_date = '2020-01-01 00:00:00.000000' WHERE name != 'young'")
    db.close()


def names(hub: HubCalls) -> list[str]:
    """What is there."""
    return [service["name"] for service in hub.services()]


def asked(hub: RecordingHub) -> int:
    """How often the hub was asked for its list."""
    return sum(call.path == "/servers" for call in hub.calls)


def test_a_service_that_its_hub_no_longer_lists_is_stopped(configured: Configured, hub_stub: RecordingHub) -> None:
    hub_stub.answers["/servers"] = ["7_known_s", "7_forgotten_another start", "8_forgotten_s"]
    hub_stub.statuses["/servers"] = 500
    outpost, hub = configured("", **lists(hub_stub))
    with outpost.hub("hub2") as other:
        other.start("forgotten")
        start_all(outpost, hub, hub_stub)
        hub_stub.statuses["/servers"] = 200
        eventually(lambda: names(hub) == ["known", "young"])
        eventually(lambda: len(servers_in(outpost.folder)) == 3)
        assert names(other) == ["forgotten"], "a hub that has no list is not cleaned up"
    assert {call.token for call in hub_stub.calls if call.path == "/servers"} == {"token list-token"}
    assert "list-token" not in outpost.log.read_text()


def test_a_service_of_an_unknown_user_is_kept_while_any_user_has_one_of_its_name(
    configured: Configured, hub_stub: RecordingHub
) -> None:
    hub_stub.answers["/servers"] = ["7_known_s"]
    hub_stub.statuses["/servers"] = 500
    outpost, hub = configured("", **lists(hub_stub))
    start_all(outpost, hub, hub_stub)
    with sqlite3.connect(outpost.folder / "outpost.sqlite", timeout=30) as db:
        db.execute("UPDATE service SET jupyterhub_user_id = '0'")
    db.close()
    hub_stub.statuses["/servers"] = 200
    eventually(lambda: names(hub) == ["known", "young"])
    before = asked(hub_stub)
    eventually(lambda: asked(hub_stub) > before + 1)
    assert names(hub) == ["known", "young"]


DOUBTFUL = {
    "an error": (500, ["x"]),
    "a refusal": (403, []),
    "no JSON": (200, b"<html>"),
    "an object": (200, {}),
    "a list of objects": (200, [{"name": "known"}]),
}


@pytest.mark.parametrize(("status", "answer"), DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_a_hub_that_does_not_answer_well_has_forgotten_nothing(
    configured: Configured, hub_stub: RecordingHub, status: int, answer: Any
) -> None:
    hub_stub.statuses["/servers"], hub_stub.answers["/servers"] = status, answer
    outpost, hub = configured("", **lists(hub_stub))
    start_all(outpost, hub, hub_stub)
    before = asked(hub_stub)
    eventually(lambda: asked(hub_stub) > before + 1, what="a whole pass since then")
    assert names(hub) == NAMES
    assert "so none is taken for forgotten" in outpost.log.read_text()


def test_a_dry_run_only_logs(configured: Configured, hub_stub: RecordingHub) -> None:
    hub_stub.answers["/servers"] = ["7_known_s"]
    outpost, hub = configured("", **lists(hub_stub, CHECK_SERVICES="dry-run"))
    start_all(outpost, hub, hub_stub)
    eventually(lambda: "hub1/forgotten/s - its hub no longer lists it; it would be stopped" in outpost.log.read_text())
    before = asked(hub_stub)
    eventually(lambda: asked(hub_stub) > before + 1, what="a whole pass since then")
    assert names(hub) == NAMES


def test_it_can_be_switched_off(configured: Configured, hub_stub: RecordingHub) -> None:
    outpost, _ = configured("", **lists(hub_stub, CHECK_SERVICES="false"))
    outpost.stop()
    assert asked(hub_stub) == 0
