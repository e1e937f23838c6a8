"""The events in tests/events, with what cannot stand in a file."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from tests.sam.sam import ROOT
from tests.support.outpost import HUBS

FOLDER = ROOT / "tests/events"


def event(name: str) -> Any:
    """The event in a file; ``Basic HUB1`` becomes the hub's real credentials."""
    basic = b64encode(f"hub1:{HUBS['hub1']}".encode()).decode()
    return json.loads((FOLDER / f"{name}.json").read_text().replace("Basic HUB1", f"Basic {basic}"))


def queue_event(*bodies: str) -> Any:
    """An SQS event of these messages; the id of the first is ``0``."""
    like = event("sqs_wake_ups")["Records"][0]
    return {"Records": [like | {"messageId": str(number), "body": body} for number, body in enumerate(bodies)]}
