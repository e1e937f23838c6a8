"""The Runtime API of one function instance: what AWS's runtime client asks for events and tells their results."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.aws.records import Status
from local.processes import HOST

MOST_BYTES = 6_291_556
"""What Lambda takes and gives in one synchronous invocation: 6 MB, and 100 bytes more."""

_VERSION = "/2018-06-01/runtime"


@dataclass(frozen=True)
class Answer:
    """What came of one event: ``payload`` is the handler's result, or with an ``error`` its description, as JSON."""

    payload: bytes
    error: str = ""
    """``Unhandled`` when the function failed, as in the header X-Amz-Function-Error."""
    timed_out: bool = False

    def json(self) -> Any:
        """The payload."""
        return json.loads(self.payload)

    def described(self, key: str) -> str:
        """With an ``error``, that part of its description; empty when there is none."""
        try:
            return str(self.json()[key]) if self.error else ""
        except (ValueError, TypeError, KeyError):
            return ""

    @property
    def status(self) -> Status:
        """As Lambda counts it."""
        if self.timed_out:
            return "timeout"
        return "error" if self.error else "success"


def failure(kind: str, message: str, timed_out: bool = False) -> Answer:
    """The answer of a function that failed without an own description."""
    return Answer(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled", timed_out)


@dataclass
class Invocation:
    """One event on its way through an instance. The first answer counts."""

    request_id: str
    payload: bytes
    seconds: float
    answer: Answer | None = None
    answered: threading.Event = field(default_factory=threading.Event)

    def resolve(self, answer: Answer) -> None:
        """Give the answer, unless there is one."""
        if not self.answered.is_set():
            self.answer = answer
            self.answered.set()


class RuntimeApi:
    """An HTTP server on loopback for one instance. ``on_next`` is called when the instance asks for an event."""

    def __init__(self, arn: str, on_next: Callable[[], None], on_init_error: Callable[[Answer], None]) -> None:
        self._arn = arn
        self._on_next = on_next
        self._on_init_error = on_init_error
        self._events: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._current: Invocation | None = None
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # instances get killed
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``host:port``, for AWS_LAMBDA_RUNTIME_API."""
        return f"{HOST}:{self._server.server_address[1]}"

    def hand_out(self, invocation: Invocation) -> None:
        """Answer the instance's request for an event."""
        self._events.put(invocation)

    def close(self) -> None:
        """Answer nothing any more."""
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or every event takes 40 ms
            wbufsize = -1

            def do_GET(self) -> None:
                if self.path != f"{_VERSION}/invocation/next":
                    self.reply(404)
                    return
                api._on_next()
                invocation = api._events.get()
                if invocation is None:
                    self.close_connection = True
                    return
                api._current = invocation
                self.reply(200, invocation.payload, api._headers(invocation))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                self.reply(api._told(self.path, body))

            def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not on stderr."""

        return Handler

    def _headers(self, invocation: Invocation) -> dict[str, str]:
        deadline = int((time.time() + invocation.seconds) * 1000)
        return {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{invocation.request_id.replace('-', '')[:24]}",
        }

    def _told(self, path: str, body: bytes) -> int:
        """The status for what the instance has posted."""
        if path == f"{_VERSION}/init/error":
            self._on_init_error(Answer(body, "Unhandled"))
            return 202
        current = self._current
        if current is None or not path.startswith(f"{_VERSION}/invocation/{current.request_id}/"):
            return 400
        if len(body) > MOST_BYTES:
            current.resolve(failure("Function.ResponseSizeTooLarge", _too_large("Response", len(body))))
            return 413
        current.resolve(Answer(body, "Unhandled" if path.endswith("/error") else ""))
        return 202


def _too_large(what: str, size: int) -> str:
    return f"{what} payload size ({size} bytes) exceeded maximum allowed payload size ({MOST_BYTES} bytes)."
