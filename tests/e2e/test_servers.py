"""What a user does with a server that runs at an Outpost."""

from __future__ import annotations

import re

import pytest

from tests.e2e.kernel import BINARY
from tests.e2e.stack import OTHER_HUB, Stack, written_by
from tests.support.waiting import eventually

SYNC_AND_ASYNC = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


@SYNC_AND_ASYNC
@pytest.mark.parametrize("name", ["", "lab"], ids=["default", "named"])
def test_a_server_starts_computes_and_stops(stack: Stack, name: str, asynchronous: bool) -> None:
    """The notebook answers through the hub's proxy, a kernel computes, and after the stop nothing is left."""
    outpost_said = written_by(stack.outpost)
    server = stack.new_server(name).start(asynchronous=asynchronous)
    status = 202 if asynchronous else 200
    assert re.search(stack.access_line.format(method="POST", path="/services", status=status), outpost_said())
    assert server.get("api/status").json()["started"]
    assert "<title>JupyterLab</title>" in server.get("lab").text
    kernel = server.kernel()
    assert kernel.run("6*7") == "42"
    assert kernel.run("6*7", BINARY) == "42"
    assert stack.listed(server)
    assert server.processes()
    server.stop()
    stopped = stack.access_line.format(method="DELETE", path=f"/services/{server.name}/[^ ]*", status=status)
    assert re.search(stopped, outpost_said())
    server.assert_gone()
    stack.assert_unlisted(server)


def test_the_hub_shows_the_progress_of_the_remote_spawner(stack: Stack) -> None:
    """Every event of the Spawner at Outpost reaches the user, in order."""
    server = stack.new_server("lab").start(linger=0.5)
    told = ["unpacking the toolbox", "sharpening the pencils"]
    eventually(lambda: set(told) <= {event.get("message") for event in server.events()}, 10, "both events")
    assert [event["message"] for event in server.events() if event.get("message") in told] == told
    server.stop()


@SYNC_AND_ASYNC
def test_a_failing_start_shows_its_reason_at_the_hub(stack: Stack, asynchronous: bool) -> None:
    """The Spawner's own words reach the hub, and nothing is left at Outpost."""
    server = stack.new_server("lab")
    hub_said = written_by(stack.hub)
    reason = f"no pencils left for {server.user}"
    server.request_start(asynchronous=asynchronous, fail=reason)
    eventually(server.is_stopped, 30, "the start has failed")
    ended = re.compile(f"Start of {server.user}:{server.name} ended with .*{reason}")
    eventually(lambda: ended.search(hub_said()), 10, "the hub knows the reason")
    if not asynchronous:
        assert reason in str(server.events())
    assert not server.processes()
    stack.assert_unlisted(server)


def test_a_server_stopped_while_starting_leaves_nothing(stack: Stack) -> None:
    """Whether the hub waits for the answer or not."""
    waiting, asynchronous = stack.new_server("lab"), stack.new_server("lab")
    waiting.request_start(linger=60)
    asynchronous.request_start(linger=60, asynchronous=True)
    for server in (waiting, asynchronous):
        eventually(server.processes, 20, "its process runs")
        server.stop()
    for server in (waiting, asynchronous):
        server.assert_gone()
        stack.assert_unlisted(server)


def test_another_hub_does_not_see_the_service(stack: Stack) -> None:
    """Neither in its list, nor by its name and start id, and it cannot stop it."""
    server = stack.new_server("lab").start()
    with stack.outpost_as() as own, stack.outpost_as(OTHER_HUB) as other:
        service = next(each for each in own.services() if each["name"] == server.name)
        identity = (service["name"], service["start_id"])
        assert own.poll(*identity).json()["status"] is None
        assert other.services() == []
        assert other.poll(*identity).status_code == 404
        assert other.stop(*identity).status_code == 404
        assert own.poll(*identity).json()["status"] is None
    server.stop()
