"""Small functions that show what the emulator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]

_ROOMS = {"core", "handlers", "infra", "local", "tests"}
_ticks: list[float] = []


def _tick() -> None:
    while True:
        _ticks.append(time.time())
        time.sleep(0.005)


def about(event: Event, context: Any) -> Event:
    """Who handled this, and what it was told."""
    return {
        "event": event,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "imported": sorted({name.partition(".")[0] for name in sys.modules} & _ROOMS),
        "environment": {name: value for name, value in os.environ.items() if "AWS" in name or "LAMBDA" in name},
    }


def ticking(event: Event, context: Any) -> list[float]:
    """When a thread has run that goes on after the answer."""
    if not any(thread.name == "tick" for thread in threading.enumerate()):
        threading.Thread(target=_tick, name="tick", daemon=True).start()
    time.sleep(event.get("for", 0))
    return _ticks


def waiting(event: Event, context: Any) -> int:
    """Waits until a file is there; leaves a note in the folder beside it that it began."""
    (Path(event["notes"]) / str(os.getpid())).touch()
    while not Path(event["until"]).exists():
        time.sleep(0.005)
    return os.getpid()


def sleeping(event: Event, context: Any) -> int:
    """Waits until the file is there that the path names."""
    while not Path(event["rawPath"]).exists() or event["rawPath"] == "/":
        time.sleep(0.005)
    return os.getpid()


def blocked(event: Event, context: Any) -> None:
    """Waits for the file ``go``; leaves a note that it began."""
    folder = Path(os.environ["NOTES"])
    (folder / f"began-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)


def _filled(mb: int) -> bytearray:
    return bytearray(b"x" * 1024) * (1024 * mb)


def misbehaving(event: Event, context: Any) -> Any:
    """Does what the event says."""
    match event.get("do", "raise"):
        case "raise":
            raise ValueError("the handler has failed")
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), 9)
        case "large":
            return "x" * 6_300_000
        case "eat":
            return len(_filled(event["mb"]) * 0)
        case "eat and wait":
            eaten = _filled(event["mb"])
            time.sleep(60)
            return len(eaten)
        case "have a child eat":
            script = f"import time; eaten = bytearray({event['mb']} << 20); print('full', flush=True); time.sleep(60)"
            child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
            assert child.stdout is not None
            child.stdout.readline()
            return child.pid
        case "print":
            sys.stdout.write(event["text"] + "\n")
    return sys.getrecursionlimit()


def noting(event: Event, context: Any) -> Event:
    """Writes down what it gets; what is told to fail, fails."""
    failures = []
    for record in event.get("Records", [event]):
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(f"{record.get('body', record.get('source'))}\n")
        if record.get("body") == "all":
            raise RuntimeError("all of them")
        if record.get("body") == "bad":
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def keeping(event: Event, context: Any) -> None:
    """Writes the event down."""
    Path(os.environ["NOTES"]).write_text(json.dumps(event))


def echo(event: Event, context: Any) -> Event:
    """An HTTP answer that holds the event."""
    headers = {"Content-Type": "application/json", "WWW-Authenticate": "Basic"}
    body = json.dumps({"event": event, "pid": os.getpid()})
    return {"statusCode": 401, "headers": headers, "cookies": ["a=1", "b=2"], "body": body, "isBase64Encoded": False}


def exits_once(event: Event, context: Any) -> int:
    """The first time it is called, its process ends."""
    tried = Path(os.environ["NOTES"])
    if not tried.exists():
        tried.touch()
        os._exit(3)
    return os.getpid()
