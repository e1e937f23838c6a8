"""A hub's calls over HTTP, to ``sam local start-api``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sam.sam import Sam
from tests.support.outpost import HUBS, HubCalls

pytestmark = pytest.mark.sam

HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "auth-state-groups": "staff"}
"""What OutpostSpawner sends besides its credentials."""


@pytest.fixture(scope="module")
def url(functions: Sam) -> Iterator[str]:
    """The HTTP API on loopback."""
    with functions.serve("start-api") as running:
        yield running


@pytest.fixture
def hub(url: str) -> Iterator[HubCalls]:
    """A hub that may call it."""
    with HubCalls(url, "hub1", HUBS["hub1"]) as calls:
        calls.http.headers.update(HEADERS)
        yield calls


@pytest.mark.parametrize("name", ["lab 1", "lab/1 ü?", ""])
def test_a_hub_starts_polls_lists_and_stops_a_server(hub: HubCalls, name: str) -> None:
    """GIVEN the HTTP API WHEN a hub leads a server through its life THEN every call gets its answer."""
    started = hub.start(name, env={"JUPYTERHUB_USER_ID": "7"}, user_options={"start_id": "s1", "flavor": "small"})
    assert (started.status_code, started.json()) == (200, {"service": "http://10.0.0.7:8888"})
    assert hub.poll(name, "s1", collect_logs="true").json() == {"status": None, "logs": []}
    assert [(item["name"], item["start_id"], item["flavor"]) for item in hub.services()] == [(name, "s1", "small")]
    assert hub.http.get("/flavors").json()["small"]["current"] == 1
    assert hub.stop(name, "s1").json() == {"logs": []}
    assert hub.poll(name, "s1").status_code == 404
    assert hub.services() == []


def test_a_hub_with_a_wrong_password_is_refused(url: str) -> None:
    with HubCalls(url, "hub1", "guessed") as stranger:
        assert stranger.http.get("/services").status_code == 401
