"""A hub that writes down what it is told, and answers as the test wants."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One call to the hub."""

    path: str
    token: str
    body: Any


class RecordingHub:
    """A real HTTP server on loopback in a thread. ``status`` is what it answers; 0 hangs up."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.delay_seconds = 0.0
        self._closing = threading.Event()
        self.calls: list[Told] = []
        self.status = 200
        self.statuses: dict[str, int] = {}
        """What is answered instead on some paths."""
        self.answers: dict[str, Any] = {}
        """What a GET of a path gets, as JSON; bytes as they are."""
        recording = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                if recording.delay_seconds:
                    recording._closing.wait(recording.delay_seconds)
                status = recording.statuses.get(self.path, recording.status)
                if status == 0:
                    self.connection.close()
                    return
                token = self.headers.get("authorization", "")
                recording.calls.append(Told(self.path, token, json.loads(body)))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                recording.calls.append(Told(self.path, self.headers.get("authorization", ""), None))
                answer = recording.answers.get(self.path)
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(recording.statuses.get(self.path, recording.status))
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Not on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are no news
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> RecordingHub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def env(self, **more: str) -> dict[str, str]:
        """The environment by which a start says where this hub is."""
        return {
            "JUPYTERHUB_API_TOKEN": "the-api-token",
            "JUPYTERHUB_API_URL": f"{self.url}/hub/api",
            "JUPYTERHUB_EVENTS_URL": f"{self.url}/events",
            "JUPYTERHUB_FLAVORS_UPDATE_URL": f"{self.url}/flavors",
            "JUPYTERHUB_SETUPTUNNEL_URL": f"{self.url}/setuptunnel",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_USER_ID": "7",
            **more,
        }

    def told(self, path: str) -> list[Any]:
        """The bodies of all calls to ``path``."""
        return [call.body for call in self.calls if call.path == path]
