"""Functions of the emulator's tests, copied to where they run. They import nothing of Outpost."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

VERSION = 1


def greet(event: Any, context: Any) -> Any:
    """Over HTTP; or with what an event asks for."""
    if "note" in event:
        Path(event["note"]).touch()
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "fail" in event:
        raise ValueError(event["fail"])
    return {"greeting": os.environ["GREETING"], "version": VERSION, "pid": os.getpid()}


def work(event: Any, context: Any) -> Any:
    """Messages of the queue; those that say so fail, or wait until the file ``go`` is there."""
    if any(record["body"] == "wait" for record in event["Records"]):
        Path("began").touch()
        while not Path("go").exists():
            time.sleep(0.02)
    failed = [record["messageId"] for record in event["Records"] if record["body"] == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def tick(event: Any, context: Any) -> Any:
    """A schedule's event comes back."""
    return event
