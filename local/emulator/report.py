"""What the emulator tells: one line for each thing that happens, for people or as JSON for machines."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from local.aws.records import Record

_FUNCTION_WIDTH = 16


class Report:
    """Writes lines. Thread-safe. Neither events nor results are in them, which may hold secrets."""

    def __init__(self, as_json: bool = False, out: TextIO = sys.stdout) -> None:
        self.as_json = as_json
        self._out = out
        self._lock = threading.Lock()

    def invocation(self, record: Record) -> None:
        """One invocation, after its end."""
        if self.as_json:
            self._json("invocation", _facts(record))
        else:
            self._write(f"{time.strftime('%H:%M:%S')} {_line(record)}")

    def say(self, text: str) -> None:
        """A sentence."""
        if self.as_json:
            self._json("message", {"text": text.strip()})
        else:
            self._write(text)

    def trouble(self, text: str) -> None:
        """What is wrong, in a sentence."""
        self.facts("error", {"text": text}, f"outpost: {text}")

    def facts(self, event: str, facts: dict[str, Any], text: str) -> None:
        """Facts for machines, or the same as text for people."""
        if self.as_json:
            self._json(event, facts)
        else:
            self._write(text)

    def _json(self, event: str, facts: dict[str, Any]) -> None:
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(json.dumps({"event": event, "time": moment, **facts}))

    def _write(self, text: str) -> None:
        with self._lock:
            print(text, file=self._out, flush=True)


def _facts(record: Record) -> dict[str, Any]:
    return {
        "function": record.function,
        "request_id": record.request_id,
        "source": record.source.kind,
        "what": record.source.what,
        "status": record.status,
        "http_status": record.http_status,
        "ms": round(record.duration_ms, 2),
        "cold": record.cold,
        "init_ms": None if record.init_ms is None else round(record.init_ms, 2),
        "max_memory_mb": record.max_memory_mb,
        "error_type": record.error_type,
        "error_message": record.error_message,
    }


def _line(record: Record) -> str:
    """Such as ``ApiFunction      warm      12 ms  200  GET /services``."""
    warmth = "    " if record.status == "throttled" else "cold" if record.cold else "warm"
    outcome = str(record.http_status) if record.http_status else "ok" if record.status == "success" else ""
    failed = "" if record.status == "success" else record.status
    parts = [
        f"{record.function:{_FUNCTION_WIDTH}} {warmth} {record.duration_ms:7.0f} ms  {outcome:>3}",
        record.source.what or record.source.kind,
        failed and f"{failed}: {record.error_type} {_first_line(record.error_message)}".rstrip(": "),
    ]
    return "  ".join(part for part in parts if part)


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
