"""Whatever dies: the other parts go on, and what has died is noticed or comes back."""

from __future__ import annotations

import re

from tests.e2e.hub import Server
from tests.e2e.stack import Stack, written_by
from tests.support.waiting import eventually


def test_servers_outlive_a_killed_outpost(stack: Stack) -> None:
    """The hub goes on while Outpost is away; after its restart it is polled, used and stopped as before."""
    server = stack.new_server("lab").start()
    kernel = server.kernel()
    kernel.run("x = 6")
    hub_said = written_by(stack.hub)
    stack.outpost.kill()
    eventually(lambda: "Could not poll" in hub_said(), 20, "the hub has polled in vain")
    assert kernel.run("x*7") == "42"
    stack.start_outpost()
    _assert_usable(stack, server)
    assert kernel.run("x*7") == "42"
    server.stop()
    server.assert_gone()
    stack.assert_unlisted(server)


def test_servers_outlive_a_killed_hub(stack: Stack) -> None:
    """A hub that comes back finds its server, and can use and stop it."""
    server = stack.new_server().start()
    kernel = server.kernel()
    kernel.run("x = 6")
    stack.hub.kill()
    stack.start_hub()
    eventually(lambda: server.model()["ready"], 20, "the hub has found the server again")
    _assert_usable(stack, server)
    assert kernel.run("x*7") == "42"
    server.stop()
    server.assert_gone()
    stack.assert_unlisted(server)


def test_the_hub_notices_a_server_that_died_by_itself(stack: Stack) -> None:
    """Through Outpost's poll, without anybody asking."""
    server = stack.new_server("lab").start()
    server.processes()[0].kill()
    eventually(server.is_stopped, 20, "the hub has noticed")
    server.assert_gone()
    stack.assert_unlisted(server)


def _assert_usable(stack: Stack, server: Server) -> None:
    """Outpost says that it runs, and so does the hub after having asked."""
    with stack.outpost_as() as outpost:
        service = next(each for each in outpost.services() if each["name"] == server.name)
        assert outpost.poll(service["name"], service["start_id"]).json()["status"] is None
    polls = re.compile(stack.access_line.format(method="GET", path=f"/services/{server.name}/[^ ]*", status=200))
    outpost_said = written_by(stack.outpost)
    eventually(lambda: polls.search(outpost_said()), 10, "the hub polls")
    assert server.model()["ready"]
    assert server.get("api/status").is_success
