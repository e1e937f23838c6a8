"""Google on this machine: tokens for a service account's key or for the machine itself, and the API of GKE."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

PROJECT = "tests"
CLUSTER = f"projects/{PROJECT}/locations/europe-west3/clusters/hpc"


class Google:
    """Hands numbered tokens out, each good for an hour, and tells of one cluster to who has the newest."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tokens = 0
        self.cluster: dict[str, Any] = {
            "endpoint": "192.0.2.1",
            "masterAuth": {"clusterCaCertificate": "Q0E="},
            "status": "RUNNING",
        }
        self.refuses: tuple[int, dict[str, Any]] | None = None
        self.seen: list[str] = []
        self._key = rsa.generate_private_key(65537, 2048)

    def key_file(self, folder: Path) -> Path:
        """A service account's key, as ``GOOGLE_APPLICATION_CREDENTIALS`` names it."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": f"outpost@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        path = folder / "account.json"
        path.write_text(json.dumps(account))
        return path

    def answer(self, path: str, headers: Any, body: str) -> tuple[int, Any]:
        """Status and JSON for a request."""
        self.seen.append(path)
        if path == "/token":
            claims = self._verified(parse_qs(body)["assertion"][0])
            assert "cloud-platform" in claims["scope"]
            return 200, self._token()
        if path == "/" or path.startswith("/computeMetadata/v1/"):
            assert headers["Metadata-Flavor"] == "Google"
            return 200, self._metadata(path.removeprefix("/computeMetadata/v1/").partition("?")[0])
        if self.refuses:
            return self.refuses
        if headers["Authorization"] != f"Bearer google token {self.tokens}":
            return 401, {"error": {"status": "UNAUTHENTICATED"}}
        if path != f"/v1/{CLUSTER}":
            return 404, {"error": {"status": "NOT_FOUND", "message": "Not found"}}
        return 200, self.cluster

    def _token(self) -> dict[str, Any]:
        self.tokens += 1
        return {"access_token": f"google token {self.tokens}", "expires_in": 3600, "token_type": "Bearer"}

    def _metadata(self, path: str) -> Any:
        if path.endswith("/token"):
            return self._token()
        if path.startswith("instance/service-accounts/"):
            return {"email": "outpost@tests", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
        return PROJECT if path == "project/project-id" else "googleapis.com" if "universe" in path else ""

    def _verified(self, assertion: str) -> dict[str, Any]:
        signed, _, signature = assertion.rpartition(".")
        self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), SHA256())
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        return claims


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@contextmanager
def server() -> Iterator[Google]:
    """A server for as long as the block runs."""
    google: Google

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            status, answer = google.answer(self.path, self.headers, body)
            is_text = isinstance(answer, str)
            content = answer.encode() if is_text else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  # its name in http.server

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        google = Google(f"http://127.0.0.1:{listening.server_port}")
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield google
        finally:
            listening.shutdown()
