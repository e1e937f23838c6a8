"""SIGTERM: no new requests, time for those under way, and the rest is recovered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.slow.conftest import Make
from tests.support.outpost import OutpostProcess, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

HANGS = {"user_options": {"hang": True}, "misc": {"start_timeout": 600}}


def refuses(outpost: OutpostProcess) -> bool:
    """Does it take no connection any more?"""
    try:
        httpx.get(f"{outpost.url}/ping", timeout=5)
    except httpx.TransportError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_sigterm_takes_no_new_requests_and_lets_a_start_finish(make: Make, asynchronous: bool) -> None:
    outpost = make().start()
    with outpost.hub() as hub, ThreadPoolExecutor(1) as pool:
        start = pool.submit(hub.start, "a", asynchronous=asynchronous, user_options={"until": "refused"})
        with outpost.hub() as other:
            eventually(lambda: [row["status"] for row in other.services()] == ["starting"])
        outpost.terminate()
        eventually(lambda: refuses(outpost))
        assert not outpost.has_ended()
        (outpost.folder / "refused").touch()
        assert start.result().is_success
        eventually(outpost.has_ended)
        outpost.start()
        assert [row["status"] for row in hub.services()] == ["running"]
        assert len(servers_in(outpost.folder)) == 1
        assert hub.stop("a").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_sigterm_leaves_a_start_that_does_not_finish_to_recovery(
    make: Make, hub_stub: RecordingHub, asynchronous: bool
) -> None:
    outpost = make().start()
    with outpost.hub() as hub, ThreadPoolExecutor(1) as pool:
        start = pool.submit(hub.start, "a", asynchronous=asynchronous, env=hub_stub.env(), **HANGS)
        eventually(lambda: servers_in(outpost.folder))
        outpost.stop()
        assert start.exception() is not None or start.result().status_code in (202, 500)
        outpost.start()
        eventually(lambda: hub.services() == [])
        assert servers_in(outpost.folder) == []
    assert [event.get("failed") for event in hub_stub.told("/events") if "failed" in event] == [True]


@pytest.mark.slow
def test_sigterm_leaves_a_stop_that_does_not_finish_to_recovery(make: Make) -> None:
    outpost = make().start()
    with outpost.hub() as hub:
        hub.start("a", user_options={"stop": "hangs"})
        hub.stop("a", asynchronous=True)
        eventually(lambda: (outpost.folder / "stops-of-a").exists())
        outpost.stop()
        (outpost.folder / "closing").touch()
        outpost.start()
        eventually(lambda: hub.services() == [])
        assert servers_in(outpost.folder) == []
