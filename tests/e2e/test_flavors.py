"""The hub shows what Outpost tells it of flavors, and notices when a run time is over."""

from __future__ import annotations

from typing import Any

from tests.e2e.stack import Stack
from tests.support.waiting import eventually


def shown_by_the_hub(stack: Stack, user: str) -> dict[str, Any]:
    """The flavors of the Outpost, as a user of the hub gets them."""
    token = stack.api.token_of(user)
    answer = stack.api.call("GET", "/outpostflavors", headers={"Authorization": f"token {token}"})
    flavors: dict[str, Any] = answer.json().get("outpost", {})
    return flavors


def test_the_hub_shows_flavors_in_use_and_a_server_ends_with_its_run_time(stack: Stack) -> None:
    server = stack.new_server("brief").start(flavor="brief")
    eventually(lambda: shown_by_the_hub(stack, server.user).get("brief", {}).get("current") == 1)
    assert shown_by_the_hub(stack, server.user)["brief"]["display_name"] == "20 seconds"

    def has_ended() -> bool:
        stack.tick()
        return server.is_stopped()

    eventually(has_ended, 60, "the hub notices that the server has ended")
    server.assert_gone()
    stack.assert_unlisted(server)
    eventually(lambda: shown_by_the_hub(stack, server.user)["brief"]["current"] == 0)
