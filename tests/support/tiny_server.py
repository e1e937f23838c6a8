"""A single-user server that costs nothing: it says whose it is, and ends with the exit code it is told.

Run as a program, with JupyterHub's environment. No arguments are looked at.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """``GET`` tells, ``POST`` ends."""

    def do_GET(self) -> None:
        told = ("JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME", "JUPYTERHUB_API_TOKEN", "ZOO_FOLDER")
        self._answer(json.dumps({name: os.environ.get(name) for name in told}).encode())

    def do_POST(self) -> None:
        code = int(self.rfile.read(int(self.headers["content-length"])))
        self._answer(b"{}")
        print(f"told to end with {code}", flush=True)  # noqa: T201
        os._exit(code)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on stderr."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    HTTPServer((url.hostname or "", url.port or 0), Handler).serve_forever()
