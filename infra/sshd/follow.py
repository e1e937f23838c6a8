"""The hubs' keys while the SSH node runs: a key that is taken away must not log in until the next restart."""

from __future__ import annotations

import asyncio
import sys

from infra.sshd.node import Node


async def follow(node: Node, seconds: float) -> None:
    """Look every so many seconds whether the hubs' keys are others, and let those in.

    A mistake is said once, and the last good keys stay. Connections that stand are left alone.
    """
    taken = mistake = ""
    while True:
        try:
            given = node.given_keys()
            if given != taken:
                node.let_in(given)
            if mistake or (taken and given != taken):
                _say("the hubs' keys were read again; others than these log in no more")
            taken, mistake = given, ""
        except Exception as error:  # noqa: BLE001  # else no key would ever be taken away again
            if str(error) != mistake:
                _say(f"{error}; the keys from before stay")
            mistake = str(error)
        await asyncio.sleep(seconds)


def _say(text: str) -> None:
    print(f"outpost: {text}", file=sys.stderr, flush=True)  # noqa: T201
